/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written, byte for byte; and that it reads as what it was written from.
 */
#include <errno.h>
#include "rows.h"

static char out[4096];
static struct http_request request;
static struct http_response response;

/* Parses and rewrites a request; also into a buffer that just suffices, and every smaller one. */
static void forwards(const char *text, const struct http_forward *forward, const char *expected)
{
	int length, small;
	char *exact;

	http_request_init(&request);
	assert_int_equal(http_request_parse(&request, text, strlen(text), &row_limits),
			 strlen(text));
	length = http_request_write(out, sizeof(out), &request, text, forward);
	assert_true((size_t)length <= http_request_room(&request, forward));
	assert_int_equal(length, strlen(expected));
	out[length] = 0;
	assert_string_equal(out, expected);
	for (small = 0; small <= length; small++) {
		exact = feed_copy(out, (size_t)small);
		assert_int_equal(http_request_write(exact, (size_t)small, &request, text, forward),
				 small < length ? -ENOSPC : length);
		free(exact);
	}
}

static void answers(const char *text, bool to_head, uint8_t minor, bool keep_alive,
		    const char *expected)
{
	const struct http_reply reply = {.minor = minor, .keep_alive = keep_alive};
	int length, small;
	char *exact;

	http_response_init(&response);
	assert_int_equal(http_response_parse(&response, text, strlen(text), to_head), strlen(text));
	length = http_response_write(out, sizeof(out), &response, text, &reply);
	assert_true((size_t)length <= http_response_room(&response, &reply));
	assert_int_equal(length, strlen(expected));
	out[length] = 0;
	assert_string_equal(out, expected);
	for (small = 0; small <= length; small++) {
		exact = feed_copy(out, (size_t)small);
		assert_int_equal(http_response_write(exact, (size_t)small, &response, text, &reply),
				 small < length ? -ENOSPC : length);
		free(exact);
	}
}

#define TAIL "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"

/* X-Forwarded-For is continued, X-Forwarded-Proto is ours. */
#define USUAL                                                                                      \
	{                                                                                          \
		HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO),               \
			HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO),       \
			HTTP_KIND(HTTP_X_FORWARDED_FOR)                                            \
	}

static const struct http_forward plain = {
	.address = {"192.0.2.1", 9}, .host = {"up", 2}, .policy = USUAL};

static void requests(void **state)
{
	static const struct http_forward tls = {
		.address = {"::1", 3}, .policy = USUAL, .tls = true, .close = true};

	(void)state;
	forwards("GET /p?q HTTP/1.1\r\nHost: a\r\nAccept:  x \r\nUser-Agent: y\r\n\r\n", &plain,
		 "GET /p?q HTTP/1.1\r\nHost: a\r\nAccept:  x \r\nUser-Agent: y\r\n" TAIL "\r\n");
	/* Host is first, and without the white space that came around it. */
	forwards("GET /p HTTP/1.1\r\nA: b\r\nhOST:\t \ta:80 \t\r\nC: d\r\n\r\n", &plain,
		 "GET /p HTTP/1.1\r\nHost: a:80\r\nA: b\r\nC: d\r\n" TAIL "\r\n");
	/* An empty line before it is gone. */
	forwards("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &plain,
		 "GET / HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
	/* HTTP/1.0 becomes 1.1, with the Host that is missing. */
	forwards("GET / HTTP/1.0\r\nA: b\r\n\r\n", &plain,
		 "GET / HTTP/1.1\r\nHost: up\r\nA: b\r\n" TAIL "\r\n");
	forwards("GET / HTTP/1.0\r\n\r\n", &plain, "GET / HTTP/1.1\r\nHost: up\r\n" TAIL "\r\n");
	/* Absolute form becomes origin form. */
	forwards("GET http://a/p HTTP/1.1\r\nHost: a\r\n\r\n", &plain,
		 "GET /p HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
	forwards("GET http://a/p HTTP/1.0\r\n\r\n", &plain,
		 "GET /p HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
	forwards("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &plain,
		 "OPTIONS * HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
	/* The chain of proxies goes on in one line; the protocol is what we saw. */
	forwards("GET / HTTP/1.1\r\nx-forwarded-for: 1.1.1.1\r\nHost: a\r\nX-Forwarded-Proto: "
		 "ftp\r\n"
		 "X-Forwarded-For:\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n\r\n",
		 &tls,
		 "GET / HTTP/1.1\r\nHost: a\r\n"
		 "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, ::1\r\nX-Forwarded-Proto: https\r\n"
		 "Connection: close\r\n\r\n");
}

static void request_hops(void **state)
{
	(void)state;
	/* First, last, neighbours, alone between two that stay. */
	forwards("GET / HTTP/1.1\r\nKeep-Alive: 5\r\nTE: trailers\r\nHost: a\r\nTrailer: x\r\nA: "
		 "b\r\n"
		 "C: d\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nProxy: evil\r\n"
		 "Proxy-Foo: x\r\n\r\n",
		 &plain, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n" TAIL "\r\n");
	/* What Connection names goes; what we stand for stays. */
	forwards("GET / HTTP/1.1\r\nfoo: 1\r\nHost: a\r\nBar: 2\r\nFoo: 3\r\nFoobar: 4\r\n"
		 "X-Forwarded-For: 1.1.1.1\r\n"
		 "Connection: FOO, host, x-forwarded-for, close\r\nConnection: bar\r\n\r\n",
		 &plain,
		 "GET / HTTP/1.1\r\nHost: a\r\nFoobar: 4\r\n"
		 "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\r\n");
	forwards("GET / HTTP/1.1\r\nHost: a\r\nProxying: x\r\nTee: y\r\n\r\n", &plain,
		 "GET / HTTP/1.1\r\nHost: a\r\nProxying: x\r\nTee: y\r\n" TAIL "\r\n");
}

static void request_bodies(void **state)
{
	(void)state;
	forwards(
		"POST / HTTP/1.1\r\nContent-Length: 007\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
		&plain, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n" TAIL "\r\n");
	forwards("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &plain,
		 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" TAIL "\r\n");
	forwards("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tCHUNKED \r\n\r\n", &plain,
		 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" TAIL "\r\n");
}

static void request_upgrades(void **state)
{
	(void)state;
	forwards("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Key: x\r\n\r\n",
		 &plain,
		 "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\n" TAIL
		 "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	forwards("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
		 "Connection: Upgrade, HTTP2-Settings\r\n\r\n",
		 &plain, "GET / HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
}

#define ALL                                                                                        \
	(HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO) |                     \
	 HTTP_KIND(HTTP_X_FORWARDED_HOST) | HTTP_KIND(HTTP_FORWARDED) |                            \
	 HTTP_KIND(HTTP_X_REQUEST_ID) | HTTP_KIND(HTTP_TRACEPARENT))

#define CLAIMS                                                                                     \
	"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n"          \
	"Forwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2\r\nX-Request-Id: theirs\r\n"             \
	"traceparent: theirs\r\ntracestate: s\r\n"

/* What the client claims passes, goes, is replaced, is continued. */
static void request_policies(void **state)
{
	struct http_forward forward = {
		.address = {"2001:db8::1", 11},
		.request_id = {"id", 2},
		.traceparent = {"trace", 5},
	};

	(void)state;
	forwards("GET / HTTP/1.1\r\nHost: a\r\n" CLAIMS "\r\n", &forward,
		 "GET / HTTP/1.1\r\nHost: a\r\n" CLAIMS "\r\n");
	forward.policy.drop = ALL | HTTP_KIND(HTTP_TRACESTATE);
	forwards("GET / HTTP/1.1\r\nHost: a\r\n" CLAIMS "\r\n", &forward,
		 "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	forward.policy.say = ALL;
	forwards("GET / HTTP/1.1\r\nHost: a:8\r\n" CLAIMS "\r\n", &forward,
		 "GET / HTTP/1.1\r\nHost: a:8\r\nX-Forwarded-For: 2001:db8::1\r\n"
		 "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a:8\r\n"
		 "Forwarded: for=\"[2001:db8::1]\";host=\"a:8\";proto=http\r\nX-Request-Id: id\r\n"
		 "traceparent: trace\r\n\r\n");
	forward.policy.keep = ALL;
	forward.address = (struct http_slice){"192.0.2.1", 9};
	forwards("GET / HTTP/1.1\r\nHost: a\r\n" CLAIMS "\r\n", &forward,
		 "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
		 "x\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n"
		 "Forwarded: for=1.1.1.1, for=2.2.2.2, for=192.0.2.1;host=\"a\";proto=http\r\n"
		 "X-Request-Id: id\r\ntraceparent: trace\r\n\r\n");
	/* Said twice it is not said. */
	forward.policy.say = forward.policy.drop = HTTP_KIND(HTTP_X_FORWARDED_PROTO);
	forwards("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: a\r\nX-Forwarded-Proto: "
		 "b\r\n\r\n",
		 &forward, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n");
}

static void request_routes(void **state)
{
	static const struct http_slice names[] = {{"cookie", 6}, {"x-b", 3}};
	static const char text[] =
		"GET /api/x?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nCookie: c\r\nx-B: 2\r\n"
		"X_b: 3\r\nX.B: 4\r\nXab: 5\r\n\r\n";
	const struct http_forward forward = {
		.lead = {"/v2", 3}, .cut = 4, .lines = {"X-C: 3\r\n", 8}};
	int length;

	(void)state;
	forwards("GET /api/x?q HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: "
		 "upgrade\r\n\r\n",
		 &forward,
		 "GET /v2/x?q HTTP/1.1\r\nHost: a\r\nX-C: 3\r\nConnection: upgrade\r\n"
		 "Upgrade: websocket\r\n\r\n");
	http_request_init(&request);
	assert_true(http_request_parse(&request, text, strlen(text), &row_limits) > 0);
	http_head_drop(&request.head, text, names, 2);
	length = http_request_write(out, sizeof(out), &request, text, &forward);
	assert_true(length > 0);
	out[length] = 0;
	assert_string_equal(
		out, "GET /v2/x?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nXab: 5\r\nX-C: 3\r\n\r\n");
}

static void responses(void **state)
{
	(void)state;
	answers("HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 05\r\nX: y\r\n\r\n", false, 1,
		true, "HTTP/1.1 200 OK\r\nServer: s\r\nX: y\r\nContent-Length: 5\r\n\r\n");
	answers("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", false, 1, false,
		"HTTP/1.1 200 \r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
	/* The server's connection is not the client's. */
	answers("HTTP/1.0 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
		"Proxy-Authenticate: x\r\nUpgrade: h2\r\nContent-Length: 5\r\n\r\n",
		false, 1, true, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	/* HTTP/1.0 clients are told that the connection goes on. */
	answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 0, true,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
	answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 1, true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	/* They know no chunks. */
	answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, true,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	answers("HTTP/1.1 200 OK\r\n\r\n", false, 1, true,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	/* No body, but its length stays told. */
	answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 1, true,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	answers("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", false, 1, true,
		"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n");
	answers("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, 1, true,
		"HTTP/1.1 204 No Content\r\n\r\n");
	/* Interim: nothing is said about the connection. */
	answers("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", false, 1, false,
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	answers("HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nConnection: Upgrade\r\nX: "
		"y\r\n\r\n",
		false, 1, false,
		"HTTP/1.1 101 Switching\r\nX: y\r\nConnection: upgrade\r\nUpgrade: "
		"websocket\r\n\r\n");
}

/* A field that means something in requests only is nothing special in a response. */
static void response_fields(void **state)
{
	(void)state;
	answers("HTTP/1.1 200 OK\r\nHost: h\r\nExpect: e\r\nX-Forwarded-For: f\r\n"
		"Content-Length: 0\r\n\r\n",
		false, 1, true,
		"HTTP/1.1 200 OK\r\nHost: h\r\nExpect: e\r\nX-Forwarded-For: f\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void errors(void **state)
{
	static const char bad[] =
		"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
		"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 48\r\n\r\n"
		"bad_host: Host missing, repeated, or not a host\n";
	int verdict, length, small;
	const char *content;
	char *exact;

	(void)state;
	length = http_error_write(out, sizeof(out), FW_BAD_HOST, false);
	out[length] = 0;
	assert_string_equal(out, bad);
	length = http_error_write(out, sizeof(out), FW_UPSTREAM_BUSY, false);
	out[length] = 0;
	assert_non_null(strstr(out, "HTTP/1.1 503 Service Unavailable\r\n"));
	assert_non_null(strstr(out, "\r\nRetry-After: "));

	/* Every row that has a status: it parses, and its length is right. */
	for (verdict = FW_NONE; verdict < FW_VERDICT_COUNT; verdict++) {
		length = http_error_write(out, sizeof(out), (enum fw_verdict)verdict, false);
		if (length == 0)
			continue;
		out[length] = 0;
		http_response_init(&response);
		small = http_response_parse(&response, out, (size_t)length, false);
		assert_true(small > 0);
		content = out + small;
		assert_int_equal(response.head.framing, HTTP_LENGTH);
		assert_int_equal(response.head.content_length, strlen(content));
		assert_memory_equal(content, verdict_names[verdict],
				    strlen(verdict_names[verdict]));
		assert_false(response.head.keep_alive);
		assert_true(response.reason.length > 0);
		assert_int_equal(http_error_write(out, sizeof(out), (enum fw_verdict)verdict, true),
				 small);
		for (small = 0; small <= length; small++) {
			exact = feed_copy(out, (size_t)small);
			assert_int_equal(http_error_write(exact, (size_t)small,
							  (enum fw_verdict)verdict, false),
					 small < length ? -ENOSPC : length);
			free(exact);
		}
	}
	assert_int_equal(http_error_write(out, sizeof(out), FW_DONE, false), 0);
	assert_int_equal(http_error_write(out, 0, FW_BLOCKED, false), 0);
}

static void excesses(void **state)
{
	static const char expected[] =
		"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
		"Cache-Control: no-store\r\nRetry-After: 3\r\n"
		"RateLimit-Policy: \"source\";q=200;w=2\r\nRateLimit: \"source\";r=0;t=3\r\n"
		"Content-Length: 52\r\n\r\nsource_request_rate: source makes requests too fast\n";
	struct http_excess excess = {"source", 200, 2, 3, true};
	int length;

	(void)state;
	length = http_excess_write(out, sizeof(out), FW_SOURCE_REQUEST_RATE, &excess, false);
	assert_true(length > 0);
	out[length] = 0;
	assert_string_equal(out, expected);
	excess.keep_alive = false;
	length = http_excess_write(out, sizeof(out), FW_SOURCE_REQUEST_RATE, &excess, true);
	assert_true(length > 0);
	out[length] = 0;
	assert_non_null(strstr(out, "\r\nConnection: close\r\nContent-Length: 52\r\n\r\n"));
	assert_int_equal(strlen(strstr(out, "\r\n\r\n")), 4);
	assert_int_equal(
		http_excess_write(out, (size_t)length - 1, FW_SOURCE_REQUEST_RATE, &excess, true),
		-ENOSPC);
}

static void continues(void **state)
{
	(void)state;
	http_response_init(&response);
	assert_int_equal(
		http_response_parse(&response, http_continue.at, http_continue.length, false),
		http_continue.length);
	assert_int_equal(response.status, 100);
	assert_int_equal(http_continue.length, strlen(http_continue.at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excesses),         cmocka_unit_test(requests),
		cmocka_unit_test(request_hops),     cmocka_unit_test(request_bodies),
		cmocka_unit_test(request_upgrades), cmocka_unit_test(request_policies),
		cmocka_unit_test(request_routes),   cmocka_unit_test(responses),
		cmocka_unit_test(response_fields),  cmocka_unit_test(errors),
		cmocka_unit_test(continues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
