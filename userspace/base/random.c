// SPDX-License-Identifier: BSD-2-Clause
#include "base/random.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void random_fill(struct random *random, void *out, size_t length)
{
	if (random->left < length) {
		/* It has never been known to fail once the machine is up. */
		if (getrandom(random->byte, sizeof(random->byte), 0) != sizeof(random->byte))
			abort();
		random->left = sizeof(random->byte);
	}
	random->left -= (uint32_t)length;
	memcpy(out, random->byte + random->left, length);
}
