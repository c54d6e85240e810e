// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/crowd.h"
#include <stdlib.h>
#include <sys/random.h>

struct crowd *crowd_create(uint32_t threads)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	if (!crowd)
		return NULL;
	crowd->threads = threads;
	crowd->bytes = calloc(threads, sizeof(*crowd->bytes));
	crowd->sources = calloc(threads, sizeof(*crowd->sources));
	crowd->requests = calloc(threads, sizeof(*crowd->requests));
	crowd->connections = calloc(threads, sizeof(*crowd->connections));
	if (!crowd->bytes || !crowd->sources || !crowd->requests || !crowd->connections ||
	    getrandom(crowd->seed, sizeof(crowd->seed), 0) != sizeof(crowd->seed)) {
		crowd_free(crowd);
		return NULL;
	}
	return crowd;
}

void crowd_free(struct crowd *crowd)
{
	if (!crowd)
		return;
	free(crowd->bytes);
	free(crowd->sources);
	free(crowd->requests);
	free(crowd->connections);
	free(crowd);
}
