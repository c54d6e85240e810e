/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two parsers, one meaning: whatever we take, http_parser takes as well, with the same end of the
 * head, the same number of fields and the same framing. What only it takes does not matter: that is
 * what being strict is for.
 */
#include "common/http_feed.h"
#include "common/http_other.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void compare(const struct http_head *head, int length,
		    const struct http_other_reading *other)
{
	if (other->result == OTHER_UNKNOWN_METHOD)
		return;
	require(other->result == OTHER_TAKEN);
	require(other->length == (size_t)length);
	require(other->fields == head->count);
	require(other->chunked == (head->framing == HTTP_CHUNKED));
	require(other->content_length ==
		(head->has_content_length ? head->content_length : UINT64_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static const struct http_limits limits = {.target = 8192, .header = 65536, .fields = 100};
	static struct http_request request;
	static struct http_response response;
	struct http_other_reading other;
	size_t taken;
	int result;

	result = feed_request(&request, data, length, &limits, length, 1, &taken);
	if (result > 0) {
		other = http_other_read((const char *)data, length, false);
		compare(&request.head, result, &other);
	}
	result = feed_response(&response, data, length, false, length, 1, &taken);
	if (result > 0 && response.status >= 200 && response.status != 204) {
		other = http_other_read((const char *)data, length, true);
		compare(&response.head, result, &other);
	}
	return 0;
}
