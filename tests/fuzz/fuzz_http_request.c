/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a request: the result is the same however they are cut; what is taken is written for
 * the server within the promised size, and reads there as it was read here.
 */
#include "common/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool slices_equal(struct http_slice a, struct http_slice b)
{
	return a.length == b.length && !memcmp(a.at, b.at, a.length);
}

#define LINES "X-Rule: set by a route\r\nX-Other:\r\n"

static const uint32_t told = HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO) |
			     HTTP_KIND(HTTP_X_FORWARDED_HOST) | HTTP_KIND(HTTP_FORWARDED) |
			     HTTP_KIND(HTTP_X_REQUEST_ID) | HTTP_KIND(HTTP_TRACEPARENT);

/* Nothing but the head itself; all that can be said, of a stranger and of who is trusted. */
static const struct http_forward forwards[] = {
	{.address = {"2001:db8::1", 11}, .host = {"upstream", 8}, .tls = true, .close = true},
	{.address = {"192.0.2.1", 9},
	 .host = {"upstream", 8},
	 .request_id = {"0123456789abcdef", 16},
	 .traceparent = {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55},
	 .lines = {LINES, sizeof(LINES) - 1},
	 .subject = {"CN=a", 4},
	 .fingerprint = {"00", 2},
	 .policy = {told, told, 0}},
	{.address = {"2001:db8::1", 11},
	 .host = {"upstream", 8},
	 .request_id = {"a", 1},
	 .traceparent = {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 55},
	 .tls = true,
	 .policy = {told, told, told}},
};

static void check_written(const struct http_request *request, const char *data,
			  const struct http_forward *forward)
{
	static struct http_request again;
	static const struct http_limits most = {
		.target = HTTP_HEAD_MAX, .header = HTTP_HEAD_MAX, .fields = HTTP_FIELDS_MAX};
	size_t room = http_request_room(request, forward);
	char *out = malloc(room);
	int length, result;

	require(out);
	length = http_request_write(out, room, request, data, forward);
	require(length > 0);
	if (length < HTTP_HEAD_MAX && request->head.count <= HTTP_FIELDS_MAX - 16) {
		http_request_init(&again);
		result = http_request_parse(&again, out, (size_t)length, &most);
		require(result == length);
		require(again.method == request->method && again.upgrade == request->upgrade);
		require(again.head.framing == request->head.framing);
		require(again.head.content_length == request->head.content_length);
		require(!again.expect_continue && again.head.minor == 1);
		require(slices_equal(http_slice(out, again.path), http_slice(data, request->path)));
		if (request->host.length)
			require(slices_equal(http_slice(out, again.host),
					     http_slice(data, request->host)));
		/* What is ours to say is said once. */
		require(!(again.head.repeated & forward->policy.say));
		for (enum http_kind kind = HTTP_OTHER; kind < HTTP_KIND_COUNT; kind++)
			require(!(forward->policy.say & HTTP_KIND(kind)) || again.head.first[kind]);
	}
	free(out);
}

static void check(const char *data, size_t length, const struct http_limits *limits)
{
	static struct http_request whole, pieces;
	size_t taken, cut = length ? (length * 7 + (uint8_t)data[length / 2]) % length : 0;
	int one = feed_request(&whole, data, length, limits, length, 1, &taken);

	require(one <= (int)length && one > -(int)FW_VERDICT_COUNT);
	require(one == feed_request(&pieces, data, length, limits, cut, length + 1, &taken));
	require(one <= 0 || request_same(&whole, &pieces));
	require(one ==
		feed_request(&pieces, data, length, limits, 0, length < 600 ? 1 : 97, &taken));
	require(one <= 0 || request_same(&whole, &pieces));
	/* Short ones at every place. */
	for (cut = 0; cut < length && length <= 128; cut++) {
		require(one == feed_request(&pieces, data, length, limits, cut, length, &taken));
		require(one <= 0 || request_same(&whole, &pieces));
	}
	if (one > 0)
		for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++)
			check_written(&whole, data, &forwards[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static const struct http_limits usual = {.target = 8192, .header = 65536, .fields = 100};
	static const struct http_limits small = {
		.target = 16, .header = 160, .fields = 4, .body = 99};

	check((const char *)data, length, &usual);
	check((const char *)data, length, &small);
	return 0;
}
