/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a balancer says first. However it is cut the same is said of it, no more of it is taken than
 * there is, and what was understood can be said again in either version.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From memory of that very size, so that a read beyond it is seen. */
static int parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
	uint8_t *copy = malloc(size ? size : 1);
	int result;

	memcpy(copy, data, size);
	result = proxy_header_parse(copy, size, header);
	free(copy);
	return result;
}

static void check_again(const struct proxy_header *header)
{
	static const struct proxy_attributes attributes = {"a.test", "TLSv1.3", "C", true};
	uint8_t out[PROXY_HEADER_WRITE_MAX];
	struct proxy_header again;

	for (int version = 1; version <= 2; version++) {
		size_t size = version == 1 ? proxy_header_write_v1(out, header)
					   : proxy_header_write_v2(out, header, &attributes);

		if (size > (version == 1 ? PROXY_HEADER_V1_MAX : sizeof(out)) ||
		    parse(out, size, &again) != (int)size || again.local != header->local)
			abort();
		if (!header->local && memcmp(&again, header, sizeof(again)) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	int result = parse(data, size, &whole), early;

	if (result > (int)size || result > PROXY_HEADER_MAX ||
	    (result < 0 && result != -FW_BAD_PROXY_HEADER) ||
	    (result == 0 && size >= PROXY_HEADER_MAX))
		abort();
	if (result > 0)
		check_again(&whole);
	/* A beginning says nothing yet, or what the whole says. */
	for (size_t cut = 0; cut < size; cut += 1 + size / 64) {
		early = parse(data, cut, &part);
		if (early != 0 && early != result)
			abort();
		if (early > 0 && memcmp(&whole, &part, sizeof(part)) != 0)
			abort();
	}
	return 0;
}
