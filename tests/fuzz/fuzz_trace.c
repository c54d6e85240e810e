/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a traceparent, and as an X-Request-Id: what is taken has the form that is told of
 * it, spelled out here once more, and goes into a head without changing where its line ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_traceparent(const char *text)
{
	unsigned int version, flags;
	char trace[33], parent[17];
	int used = 0;

	if (sscanf(text, "%2x-%32[0-9a-f]-%16[0-9a-f]-%2x%n", &version, trace, parent, &flags,
		   &used) != 4 ||
	    used != 55 || version == 255)
		return false;
	/* Hexadecimal of another form than two small digits is for sscanf, not for us. */
	for (int i = 0; i < 55; i++)
		if (!strchr("0123456789abcdef-", text[i]))
			return false;
	if (text[0] == '-' || text[1] == '-' || text[53] == '-' || text[54] == '-')
		return false;
	return strspn(trace, "0") < 32 && strspn(parent, "0") < 16 &&
	       (!text[55] || (version && text[55] == '-'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	char *exact = malloc(length ? length : 1), *text = calloc(length + 1, 1);
	const struct http_slice slice = {exact, (uint32_t)length};
	bool printable = true;

	require(exact && text);
	if (length) {
		memcpy(exact, data, length);
		memcpy(text, data, length);
	}
	for (size_t i = 0; i < length; i++)
		printable = printable && data[i] > ' ' && data[i] < 0x7f;
	if (http_request_id_valid(slice))
		require(printable && length && length <= HTTP_REQUEST_ID_MAX);
	/* What a later version adds may be anything that a field's value is. */
	if (strlen(text) == length || length <= HTTP_TRACEPARENT_LENGTH)
		require(http_traceparent_valid(slice) ==
			(strlen(text) == length && is_traceparent(text)));
	free(exact);
	free(text);
	return 0;
}
