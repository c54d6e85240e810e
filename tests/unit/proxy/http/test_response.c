/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server's answers: which are taken, how their end is found, and what is refused.
 */
#include "rows.h"

#define OK200      "HTTP/1.1 200 OK\r\n"
#define END        "\r\n"
#define LINE(text) text "\r\n" END
#define WITH(text) OK200 text "\r\n" END

static struct http_response response, pieces;

static int feed(const char *text, size_t length, bool to_head)
{
	size_t cut, taken;
	int one = feed_response(&response, text, length, to_head, length, 1, &taken), other;

	for (cut = 0; cut <= length; cut++) {
		other = feed_response(&pieces, text, length, to_head, cut, length ? length : 1,
				      &taken);
		if (one != other || (one > 0 && !response_same(&response, &pieces)))
			fail_msg("%s: %d whole, %d cut at %zu", text, one, other, cut);
	}
	other = feed_response(&pieces, text, length, to_head, 0, 1, &taken);
	if (one != other || (one > 0 && !response_same(&response, &pieces)))
		fail_msg("%s: %d whole, %d byte by byte", text, one, other);
	return one;
}

static void refused(void **state)
{
	static const struct row rows[] = {
		ROW("HTTP/0.9", 1, "<html>hello"),
		ROW("HTTP/2", 1, LINE("HTTP/2 200 OK")),
		ROW("HTTP/1.2", 1, LINE("HTTP/1.2 200 OK")),
		ROW("HTTP/1.x", 1, LINE("HTTP/1.x 200 OK")),
		ROW("status of letters", 1, LINE("HTTP/1.1 2xx OK")),
		ROW("lower case", 1, LINE("http/1.1 200 OK")),
		ROW("CRLF before", 1, "\r\n" OK200 END),
		ROW("two spaces", 1, LINE("HTTP/1.1  200 OK")),
		ROW("status of two digits", 1, LINE("HTTP/1.1 20 OK")),
		ROW("status of four digits", 1, LINE("HTTP/1.1 2000 OK")),
		ROW("status 0xx", 1, LINE("HTTP/1.1 099 OK")),
		ROW("status 6xx", 1, LINE("HTTP/1.1 600 OK")),
		ROW("status with sign", 1, LINE("HTTP/1.1 +20 OK")),
		ROW("tab after the status", 1, LINE("HTTP/1.1 200\tOK")),
		ROW("control in the reason", 1, LINE("HTTP/1.1 200 O\x01K")),
		ROW("NUL in the reason", 1, LINE("HTTP/1.1 200 O\0K")),
		ROW("bare LF", 1, "HTTP/1.1 200 OK\n\n"),
		ROW("bare CR", 1, "HTTP/1.1 200 OK\rX: y\r\n\r\n"),
		ROW("folding", 1, WITH("A: b\r\n c")),
		ROW("space before the colon", 1, WITH("Content-Length : 5")),
		ROW("NUL in a value", 1, WITH("A: \0")),
		ROW("bare LF in fields", 1, WITH("A: b\nContent-Length: 5")),
		ROW("CL and TE", 1, WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")),
		ROW("CL twice", 1, WITH("Content-Length: 5\r\nContent-Length: 6")),
		ROW("CL twice the same", 1, WITH("Content-Length: 5\r\nContent-Length: 5")),
		ROW("CL list", 1, WITH("Content-Length: 5, 5")),
		ROW("CL with plus", 1, WITH("Content-Length: +5")),
		ROW("CL empty", 1, WITH("Content-Length:")),
		ROW("CL too large", 1, WITH("Content-Length: 9223372036854775808")),
		ROW("TE gzip", 1, WITH("Transfer-Encoding: gzip, chunked")),
		ROW("TE twice", 1,
		    WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
		ROW("TE in HTTP/1.0", 1, LINE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked")),
		ROW("204 with a body", 1, LINE("HTTP/1.1 204 No\r\nContent-Length: 1")),
		ROW("204 in chunks", 1, LINE("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked")),
		ROW("100 with a body", 1, LINE("HTTP/1.1 100 C\r\nContent-Length: 1")),
		ROW("101 with a body", 1,
		    LINE("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: "
			 "1")),
		ROW("101 without Upgrade", 1, LINE("HTTP/1.1 101 S\r\nConnection: upgrade")),
		ROW("101 without Connection", 1, LINE("HTTP/1.1 101 S\r\nUpgrade: x")),
		ROW("101 in HTTP/1.0", 1,
		    LINE("HTTP/1.0 101 S\r\nConnection: upgrade\r\nUpgrade: x")),
		ROW("Connection no list", 1, WITH("Connection: \"a\"")),
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if (feed(rows[i].data, rows[i].length, false) != -FW_UPSTREAM_BAD_RESPONSE)
			fail_msg("%s: not refused", rows[i].what);
}

/* How each ends: RFC 9112 section 6.3. */
static void bodies(void **state)
{
	static const struct {
		const char *text;
		bool to_head;
		uint16_t status;
		enum http_framing framing;
		bool keep_alive;
	} rows[] = {
		{WITH("Content-Length: 5"), false, 200, HTTP_LENGTH, true},
		{WITH("Content-Length: 0"), false, 200, HTTP_NO_BODY, true},
		{WITH("Transfer-Encoding: Chunked"), false, 200, HTTP_CHUNKED, true},
		{WITH("A: b"), false, 200, HTTP_UNTIL_CLOSE, false},
		{WITH("Connection: keep-alive"), false, 200, HTTP_UNTIL_CLOSE, false},
		{WITH("Connection: close\r\nContent-Length: 5"), false, 200, HTTP_LENGTH, false},
		{WITH("A: b"), true, 200, HTTP_NO_BODY, true},
		{WITH("Content-Length: 5"), true, 200, HTTP_NO_BODY, true},
		{WITH("Transfer-Encoding: chunked"), true, 200, HTTP_NO_BODY, true},
		{LINE("HTTP/1.1 304 N\r\nContent-Length: 5"), false, 304, HTTP_NO_BODY, true},
		{LINE("HTTP/1.1 204 N\r\nContent-Length: 0"), false, 204, HTTP_NO_BODY, true},
		{LINE("HTTP/1.1 100 Continue\r\nA: b"), false, 100, HTTP_NO_BODY, true},
		{LINE("HTTP/1.1 103 Early Hints\r\nLink: x"), false, 103, HTTP_NO_BODY, true},
		{LINE("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x"), false, 101,
		 HTTP_UNTIL_CLOSE, false},
		{LINE("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x"), true, 101,
		 HTTP_UNTIL_CLOSE, false},
		{LINE("HTTP/1.0 200 OK\r\nContent-Length: 5"), false, 200, HTTP_LENGTH, false},
		{LINE("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive"), false, 200,
		 HTTP_LENGTH, true},
		{"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", false, 200, HTTP_LENGTH, true},
		{"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", false, 200, HTTP_LENGTH, true},
		{"HTTP/1.1 599 caf\xc3\xa9 noir\r\n\r\n", false, 599, HTTP_UNTIL_CLOSE, false},
	};
	size_t i, length;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		length = strlen(rows[i].text);
		assert_int_equal(feed(rows[i].text, length, rows[i].to_head), length);
		assert_int_equal(response.status, rows[i].status);
		assert_int_equal(response.head.framing, rows[i].framing);
		assert_int_equal(response.head.keep_alive, rows[i].keep_alive);
	}
}

static void partial(void **state)
{
	static const char text[] = WITH("Content-Length: 5");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(feed(text, i, false), 0);
	assert_int_equal(feed(text, sizeof(text) - 1, false), sizeof(text) - 1);
}

/* A head without end stops at HTTP_HEAD_MAX; fields at HTTP_FIELDS_MAX. */
static void caps(void **state)
{
	static char text[HTTP_HEAD_MAX];
	size_t taken, i, length;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, OK200 "A: ", sizeof(OK200 "A: ") - 1);
	assert_int_equal(
		feed_response(&response, text, HTTP_HEAD_MAX - 1, false, 100, 9973, &taken), 0);
	assert_int_equal(feed_response(&response, text, HTTP_HEAD_MAX, false, 100, 9973, &taken),
			 -FW_UPSTREAM_BAD_RESPONSE);
	length = strlen(OK200);
	for (i = 0; i < HTTP_FIELDS_MAX; i++, length += 4)
		memcpy(text + length, "A:\r\n", 4);
	memcpy(text + length, "\r\n", 2);
	assert_int_equal(feed_response(&response, text, length + 2, false, 100, 997, &taken),
			 length + 2);
	assert_int_equal(response.head.count, HTTP_FIELDS_MAX);
	memcpy(text + length, "A:\r\n\r\n", 6);
	assert_int_equal(feed_response(&response, text, length + 6, false, 100, 997, &taken),
			 -FW_UPSTREAM_BAD_RESPONSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(bodies),
		cmocka_unit_test(partial),
		cmocka_unit_test(caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
