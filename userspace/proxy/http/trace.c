/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What names a request: X-Request-Id, and traceparent (W3C Trace Context, section 3.2).
 */
#include <string.h>
#include "proxy/http/http.h"

static const char digits[] = "0123456789abcdef";

static bool is_alphanumeric(char byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

bool http_request_id_valid(struct http_slice id)
{
	if (!id.length || id.length > HTTP_REQUEST_ID_MAX)
		return false;
	for (uint32_t i = 0; i < id.length; i++)
		if (!is_alphanumeric(id.at[i]) && !memchr("-._~+/=:@", id.at[i], 9))
			return false;
	return true;
}

/* Lower-case hexadecimal digits; *@zero: none of them is another than 0. */
static bool is_hex(const char *at, uint32_t length, bool *zero)
{
	*zero = true;
	for (uint32_t i = 0; i < length; i++) {
		if (!memchr(digits, at[i], 16))
			return false;
		*zero = *zero && at[i] == '0';
	}
	return true;
}

bool http_traceparent_valid(struct http_slice value)
{
	const char *at = value.at;
	bool zero, no_trace, no_parent;

	if (value.length < HTTP_TRACEPARENT_LENGTH || at[2] != '-' || at[35] != '-' ||
	    at[52] != '-' || !is_hex(at, 2, &zero) || !is_hex(at + 3, 32, &no_trace) ||
	    !is_hex(at + 36, 16, &no_parent))
		return false;
	if (no_trace || no_parent || !memcmp(at, "ff", 2) || !is_hex(at + 53, 2, &zero))
		return false;
	/* A version that is yet to come may have more to say, behind another dash. */
	return value.length == HTTP_TRACEPARENT_LENGTH ||
	       (memcmp(at, "00", 2) && at[HTTP_TRACEPARENT_LENGTH] == '-');
}

void http_put_hex(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
}

void http_traceparent_make(char out[HTTP_TRACEPARENT_LENGTH], uint8_t random[24], bool sampled)
{
	/* All zeros would mean: none. */
	random[0] |= 1;
	random[16] |= 1;
	memcpy(out, "00-", 3);
	http_put_hex(out + 3, random, 16);
	out[35] = '-';
	http_put_hex(out + 36, random + 16, 8);
	memcpy(out + 52, sampled ? "-01" : "-00", 3);
}
