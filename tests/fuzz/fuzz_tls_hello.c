/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first bytes of a TLS connection. Whatever they are: the same is said of them however they
 * arrive, and a name that is found is one that may be written to a log.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "floodwall.h"
#include "proxy/net/tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t message[HELLO_MESSAGE_MAX];

/* From memory of that very size, so that a read beyond it is seen. */
static int parse(const uint8_t *data, size_t size, struct hello *hello)
{
	uint8_t *copy = malloc(size ? size : 1);
	int result;

	memcpy(copy, data, size);
	result = hello_parse(copy, size, message, hello);
	free(copy);
	return result;
}

static void check_name(const char *name)
{
	size_t length = strnlen(name, HELLO_NAME_SIZE);

	if (length == HELLO_NAME_SIZE)
		abort();
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || (name[i] >= 'A' && name[i] <= 'Z'))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello whole, part;
	int result = parse(data, size, &whole), early;

	if (result > (int)size ||
	    (result < 0 && result != -FW_NOT_TLS && result != -FW_BAD_HANDSHAKE))
		abort();
	if (result > 0)
		check_name(whole.name);
	/* A beginning says nothing yet, or what the whole says. */
	for (size_t cut = 0; cut < size; cut += 1 + size / 64) {
		early = parse(data, cut, &part);
		if (early != 0 && early != result)
			abort();
		if (early > 0 && strcmp(whole.name, part.name))
			abort();
	}
	return 0;
}
