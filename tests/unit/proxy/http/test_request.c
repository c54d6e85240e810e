/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every rule of a request's head, one row each: what is taken, what is refused and for which
 * reason, and what was understood.
 */
#include "rows.h"

#define GET        "GET / HTTP/1.1\r\n"
#define HOST       "Host: a\r\n"
#define END        "\r\n"
#define LINE(text) text HOST END
#define WITH(text) GET HOST text "\r\n" END

static void request_lines(void **state)
{
	static const struct row rows[] = {
		ROW("plain", 0, LINE(GET)),
		ROW("one empty line before", 0, LINE("\r\n" GET)),
		ROW("two empty lines before", FW_BAD_REQUEST_LINE, LINE("\r\n\r\n" GET)),
		ROW("bare LF before", FW_BAD_REQUEST_LINE, LINE("\n" GET)),
		ROW("bare CR before", FW_BAD_REQUEST_LINE, LINE("\r" GET)),
		ROW("every printable byte in the target", 0,
		    LINE("GET /?!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ HTTP/1.1\r\n")),
		ROW("printable bytes in the path", 0,
		    LINE("GET /!\"$&'()*+,-./09:;<=>@AZ[]^_`az{|}~ HTTP/1.1\r\n")),
		ROW("options *", 0, LINE("OPTIONS * HTTP/1.1\r\n")),
		ROW("get *", FW_BAD_REQUEST_LINE, LINE("GET * HTTP/1.1\r\n")),
		ROW("options *x", FW_BAD_REQUEST_LINE, LINE("OPTIONS *x HTTP/1.1\r\n")),
		ROW("absolute form", 0, LINE("GET http://a/b?c HTTP/1.1\r\n")),
		ROW("absolute form, https, upper case", 0, LINE("GET HTTPS://A/b HTTP/1.1\r\n")),
		ROW("absolute form without path", FW_BAD_REQUEST_LINE,
		    LINE("GET http://a HTTP/1.1\r\n")),
		ROW("absolute form without host", FW_BAD_REQUEST_LINE,
		    LINE("GET http:///b HTTP/1.1\r\n")),
		ROW("absolute form with user", FW_BAD_REQUEST_LINE,
		    LINE("GET http://u@a/ HTTP/1.1\r\n")),
		ROW("other scheme", FW_BAD_REQUEST_LINE, LINE("GET hftp://a/ HTTP/1.1\r\n")),
		EARLY("target that begins otherwise", FW_BAD_REQUEST_LINE, 5,
		      LINE("GET example.com HTTP/1.1\r\n")),
		ROW("no target", FW_BAD_REQUEST_LINE, LINE("GET HTTP/1.1\r\n")),
		ROW("empty target", FW_BAD_REQUEST_LINE, LINE("GET  HTTP/1.1\r\n")),
		ROW("two spaces after the method", FW_BAD_REQUEST_LINE,
		    LINE("GET  / HTTP/1.1\r\n")),
		ROW("two spaces before the version", FW_BAD_REQUEST_LINE,
		    LINE("GET /  HTTP/1.1\r\n")),
		ROW("space in the target", FW_BAD_REQUEST_LINE, LINE("GET /a b HTTP/1.1\r\n")),
		ROW("tab for a space", FW_BAD_REQUEST_LINE, LINE("GET\t/ HTTP/1.1\r\n")),
		ROW("space at the end", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1.1 \r\n")),
		ROW("space at the start", FW_BAD_REQUEST_LINE, LINE(" GET / HTTP/1.1\r\n")),
		ROW("fragment", FW_BAD_REQUEST_LINE, LINE("GET /#a HTTP/1.1\r\n")),
		ROW("NUL in the target", FW_BAD_REQUEST_LINE, LINE("GET /\0 HTTP/1.1\r\n")),
		ROW("byte above ASCII", FW_BAD_REQUEST_LINE, LINE("GET /\xc3\xa9 HTTP/1.1\r\n")),
		ROW("DEL in the target", FW_BAD_REQUEST_LINE, LINE("GET /\x7f HTTP/1.1\r\n")),
		ROW("bare LF after the line", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1.1\n")),
		ROW("bare CR after the line", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1.1\r")),
		EARLY("HTTP/0.9", FW_BAD_REQUEST_LINE, 6, "GET /\r\n"),
		ROW("no method", FW_BAD_REQUEST_LINE, LINE(" / HTTP/1.1\r\n")),
		ROW("method with a separator", FW_BAD_REQUEST_LINE, LINE("G(T / HTTP/1.1\r\n")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

static void versions(void **state)
{
	static const struct row rows[] = {
		ROW("1.0", 0, LINE("GET / HTTP/1.0\r\n")),
		ROW("1.2", FW_VERSION_UNSUPPORTED, LINE("GET / HTTP/1.2\r\n")),
		ROW("2.0", FW_VERSION_UNSUPPORTED, LINE("GET / HTTP/2.0\r\n")),
		ROW("0.9", FW_VERSION_UNSUPPORTED, LINE("GET / HTTP/0.9\r\n")),
		ROW("1.10", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1.10\r\n")),
		ROW("01.1", FW_VERSION_UNSUPPORTED, LINE("GET / HTTP/01.1\r\n")),
		ROW("1,1", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1,1\r\n")),
		ROW("lower case", FW_BAD_REQUEST_LINE, LINE("GET / http/1.1\r\n")),
		ROW("another protocol", FW_BAD_REQUEST_LINE, LINE("GET / ICAP/1.0\r\n")),
		ROW("letter for the minor", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/1.x\r\n")),
		ROW("letter", FW_BAD_REQUEST_LINE, LINE("GET / HTTP/x.1\r\n")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

static void methods(void **state)
{
	static const char *const known[] = {
#define HTTP_METHOD(id, token, content) token,
#include "contract/methods.def"
#undef HTTP_METHOD
	};
	static const struct row rows[] = {
		ROW("tunnel", FW_METHOD_UNSUPPORTED, LINE("CONNECT a:443 HTTP/1.1\r\n")),
		ROW("echo", FW_METHOD_UNSUPPORTED, LINE("TRACE / HTTP/1.1\r\n")),
		ROW("lower case", FW_METHOD_UNSUPPORTED, LINE("get / HTTP/1.1\r\n")),
		ROW("unknown", FW_METHOD_UNSUPPORTED, LINE("FROB / HTTP/1.1\r\n")),
		ROW("longer than a known one", FW_METHOD_UNSUPPORTED, LINE("GETX / HTTP/1.1\r\n")),
		ROW("shorter", FW_METHOD_UNSUPPORTED, LINE("GE / HTTP/1.1\r\n")),
		EARLY("endless", FW_METHOD_UNSUPPORTED, 25, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA("),
		EARLY("HTTP/2 preface", FW_METHOD_UNSUPPORTED, 4,
		      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		EARLY("TLS ClientHello", FW_BAD_REQUEST_LINE, 1, "\x16\x03\x01\x02\x00\x01"),
		EARLY("binary", FW_BAD_REQUEST_LINE, 1, "\x00\x00\x00\x00"),
		EARLY("PROXY protocol", FW_METHOD_UNSUPPORTED, 6, "PROXY TCP4 1.2.3.4\r\n"),
	};
	struct http_request request;
	char text[128];
	size_t i, taken;
	int length;

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
	for (i = 0; i < COUNT(known); i++) {
		length = snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", known[i]);
		assert_int_equal(
			feed_request(&request, text, (size_t)length, &row_limits, 0, 1, &taken),
			length);
		assert_int_equal(request.method, i + 1);
		assert_int_equal(http_method_token(request.method).length, strlen(known[i]));
	}
}

static void field_lines(void **state)
{
	static const struct row rows[] = {
		ROW("every token byte in a name", 0, WITH("!#$%&'*+-.^_`|~09azAZ: x")),
		ROW("name longer than a vector", 0,
		    WITH("abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz: x")),
		ROW("empty value", 0, WITH("A:")),
		ROW("value of spaces", 0, WITH("A:  \t ")),
		ROW("no space after the colon", 0, WITH("A:b")),
		ROW("tab and obs-text in a value", 0, WITH("A: b\tc \xe9\xff")),
		ROW("space before the colon", FW_BAD_FIELD, WITH("A : b")),
		ROW("tab before the colon", FW_BAD_FIELD, WITH("A\t: b")),
		ROW("space in a name", FW_BAD_FIELD, WITH("A b: c")),
		ROW("no colon", FW_BAD_FIELD, WITH("Abc")),
		ROW("no name", FW_BAD_FIELD, WITH(": b")),
		ROW("folded by a space", FW_BAD_FIELD, WITH("A: b\r\n c")),
		ROW("folded by a tab", FW_BAD_FIELD, WITH("A: b\r\n\tc")),
		ROW("space before the first field", FW_BAD_FIELD, GET " A: b\r\n" HOST END),
		ROW("bare LF", FW_BAD_FIELD, WITH("A: b\nB: c")),
		ROW("bare CR", FW_BAD_FIELD, WITH("A: b\rB: c")),
		ROW("CR CR LF", FW_BAD_FIELD, WITH("A: b\r")),
		ROW("bare LF for the empty line", FW_BAD_FIELD, GET HOST "\n"),
		ROW("CR and a letter for the empty line", FW_BAD_FIELD, GET HOST "\rX"),
		ROW("NUL in a name", FW_BAD_FIELD, WITH("A\0: b")),
		ROW("NUL in a value", FW_BAD_FIELD, WITH("A: b\0")),
		ROW("control in a value", FW_BAD_FIELD, WITH("A: b\x0b")),
		ROW("DEL in a value", FW_BAD_FIELD, WITH("A: b\x7f")),
		ROW("byte above ASCII in a name", FW_BAD_FIELD, WITH("\xc3\xa9: b")),
		ROW("quote in a name", FW_BAD_FIELD, WITH("\"A\": b")),
		ROW("slash in a name", FW_BAD_FIELD, WITH("A/B: c")),
		ROW("underscore in a name of no meaning", 0, WITH("My_Name: x")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

/* No byte may pass in a place where another parser sees a delimiter: all 256, in both places. */
static void every_byte(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~";
	static struct http_request request;
	char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX?: 1?2\r\n\r\n";
	char *name = strchr(text, '?'), *value = strrchr(text, '?');
	size_t taken, length = sizeof(text) - 1;
	bool pass, good;
	int byte;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		*value = 'b';
		*name = (char)byte;
		pass = feed_request(&request, text, length, &row_limits, length, 1, &taken) > 0;
		good = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
		       (byte >= 'A' && byte <= 'Z') || (byte && strchr(token, byte)) || byte == ':';
		if (pass != good)
			fail_msg("byte %d in a name: %d", byte, pass);
		*name = 'a';
		*value = (char)byte;
		pass = feed_request(&request, text, length, &row_limits, length, 1, &taken) > 0;
		good = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
		if (pass != good)
			fail_msg("byte %d in a value: %d", byte, pass);
	}
}

static void hosts(void **state)
{
#define HOSTED(text) GET "Host: " text "\r\n" END
	static const struct row rows[] = {
		ROW("name", 0, HOSTED("www.example-1.com")),
		ROW("name and port", 0, HOSTED("a:65535")),
		ROW("IPv4", 0, HOSTED("192.0.2.1:80")),
		ROW("IPv6", 0, HOSTED("[2001:db8::1]")),
		ROW("IPv6 and port", 0, HOSTED("[::ffff:1.2.3.4]:8443")),
		ROW("none in HTTP/1.0", 0, "GET / HTTP/1.0\r\n\r\n"),
		ROW("absolute form and the same host", 0,
		    "GET http://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n"),
		ROW("none", FW_BAD_HOST, GET END),
		ROW("none, absolute form", FW_BAD_HOST, "GET http://a/ HTTP/1.1\r\n\r\n"),
		ROW("two", FW_BAD_HOST, GET HOST "Host: b\r\n" END),
		ROW("the same twice", FW_BAD_HOST, GET HOST HOST END),
		ROW("two in HTTP/1.0", FW_BAD_HOST, "GET / HTTP/1.0\r\n" HOST HOST END),
		ROW("absolute form and another host", FW_BAD_HOST,
		    LINE("GET http://b/ HTTP/1.1\r\n")),
		ROW("absolute form and another port", FW_BAD_HOST,
		    LINE("GET http://a:80/ HTTP/1.1\r\n")),
		ROW("empty", FW_BAD_HOST, HOSTED("")),
		ROW("list", FW_BAD_HOST, HOSTED("a, b")),
		ROW("comma", FW_BAD_HOST, HOSTED("a,b")),
		ROW("space", FW_BAD_HOST, HOSTED("a b")),
		ROW("user", FW_BAD_HOST, HOSTED("u@a")),
		ROW("path", FW_BAD_HOST, HOSTED("a/b")),
		ROW("query", FW_BAD_HOST, HOSTED("a?b")),
		ROW("fragment", FW_BAD_HOST, HOSTED("a#b")),
		ROW("backslash", FW_BAD_HOST, HOSTED("a\\b")),
		ROW("percent-encoding", FW_BAD_HOST, HOSTED("a%2eb")),
		ROW("byte above ASCII", FW_BAD_HOST, HOSTED("\xc3\xa9")),
		ROW("port without host", FW_BAD_HOST, HOSTED(":80")),
		ROW("empty port", FW_BAD_HOST, HOSTED("a:")),
		ROW("port too large", FW_BAD_HOST, HOSTED("a:65536")),
		ROW("port of six digits", FW_BAD_HOST, HOSTED("a:000080")),
		ROW("port no number", FW_BAD_HOST, HOSTED("a:8x")),
		ROW("two ports", FW_BAD_HOST, HOSTED("a:80:81")),
		ROW("IPv6 without brackets", FW_BAD_HOST, HOSTED("2001:db8::1")),
		ROW("IPv6 not closed", FW_BAD_HOST, HOSTED("[::1")),
		ROW("IPv6 and more", FW_BAD_HOST, HOSTED("[::1]a")),
		ROW("IPv6 with zone", FW_BAD_HOST, HOSTED("[fe80::1%25eth0]")),
		ROW("IPv6 wrong", FW_BAD_HOST, HOSTED("[1::2::3]")),
		ROW("IPv6 empty", FW_BAD_HOST, HOSTED("[]")),
		ROW("future address", FW_BAD_HOST, HOSTED("[v1.x]")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

static void framing(void **state)
{
	static const struct row rows[] = {
		ROW("length", 0, WITH("Content-Length: 5")),
		ROW("length zero", 0, WITH("Content-Length: 0")),
		ROW("length of leading zeros", 0, WITH("Content-Length: 0005")),
		ROW("largest length", 0, WITH("Content-Length: 9223372036854775807")),
		ROW("chunked", 0, WITH("Transfer-Encoding: chunked")),
		ROW("chunked, upper case", 0, WITH("TRANSFER-ENCODING: CHUNKED")),
		ROW("length over 2^63", FW_BAD_FRAMING,
		    WITH("Content-Length: 9223372036854775808")),
		ROW("length over 2^64", FW_BAD_FRAMING,
		    WITH("Content-Length: 18446744073709551621")),
		ROW("length of 20 digits", FW_BAD_FRAMING,
		    WITH("Content-Length: 00000000000000000005")),
		ROW("length empty", FW_BAD_FRAMING, WITH("Content-Length:")),
		ROW("length with +", FW_BAD_FRAMING, WITH("Content-Length: +5")),
		ROW("length with -", FW_BAD_FRAMING, WITH("Content-Length: -5")),
		ROW("length hexadecimal", FW_BAD_FRAMING, WITH("Content-Length: 0x5")),
		ROW("length with fraction", FW_BAD_FRAMING, WITH("Content-Length: 5.0")),
		ROW("length with unit", FW_BAD_FRAMING, WITH("Content-Length: 5 bytes")),
		ROW("length with space inside", FW_BAD_FRAMING, WITH("Content-Length: 1 5")),
		ROW("length list of equals", FW_BAD_FRAMING, WITH("Content-Length: 5, 5")),
		ROW("length list", FW_BAD_FRAMING, WITH("Content-Length: 5,6")),
		ROW("length quoted", FW_BAD_FRAMING, WITH("Content-Length: \"5\"")),
		ROW("length twice", FW_BAD_FRAMING, WITH("Content-Length: 5\r\nContent-Length: 6")),
		ROW("length twice the same", FW_BAD_FRAMING,
		    WITH("Content-Length: 5\r\ncontent-length: 5")),
		ROW("both", FW_BAD_FRAMING,
		    WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")),
		ROW("both, other order", FW_BAD_FRAMING,
		    WITH("Transfer-Encoding: chunked\r\nContent-Length: 5")),
		ROW("chunked in two fields", FW_BAD_FRAMING,
		    WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
		ROW("chunked in HTTP/1.0", FW_BAD_FRAMING,
		    LINE("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n")),
		ROW("gzip, chunked", FW_CODING_UNSUPPORTED,
		    WITH("Transfer-Encoding: gzip, chunked")),
		ROW("chunked twice", FW_CODING_UNSUPPORTED,
		    WITH("Transfer-Encoding: chunked, chunked")),
		ROW("identity", FW_CODING_UNSUPPORTED, WITH("Transfer-Encoding: identity")),
		ROW("empty coding", FW_CODING_UNSUPPORTED, WITH("Transfer-Encoding:")),
		ROW("coding with parameter", FW_CODING_UNSUPPORTED,
		    WITH("Transfer-Encoding: chunked;a=b")),
		ROW("length with underscore", FW_BAD_FIELD, WITH("Content_Length: 5")),
		ROW("coding with underscore", FW_BAD_FIELD, WITH("transfer_encoding: chunked")),
		ROW("forwarded for with underscore", FW_BAD_FIELD,
		    WITH("X-Forwarded_For: 1.2.3.4")),
		ROW("length with a dot", FW_BAD_FIELD, WITH("Content.Length: 5")),
		ROW("length with a tilde", FW_BAD_FIELD, WITH("CONTENT~LENGTH: 5")),
		ROW("coding with a plus", FW_BAD_FIELD, WITH("Transfer+Encoding: chunked")),
		ROW("forwarded for with other marks", FW_BAD_FIELD,
		    WITH("X!Forwarded|For: 1.2.3.4")),
		ROW("length with a letter for the dash", 0, WITH("ContentxLength: 5")),
		ROW("length with a digit for the dash", 0, WITH("Content0Length: 5")),
		ROW("upgrade with no dash to mistake", 0, WITH("up_rade: x")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

static void expectations(void **state)
{
	static const struct row rows[] = {
		ROW("continue", 0, WITH("Expect: 100-Continue")),
		ROW("other", FW_BAD_EXPECTATION, WITH("Expect: 200-ok")),
		ROW("empty", FW_BAD_EXPECTATION, WITH("Expect:")),
		ROW("twice", FW_BAD_EXPECTATION,
		    WITH("Expect: 100-continue\r\nExpect: 100-continue")),
		ROW("other in HTTP/1.0", 0, LINE("GET / HTTP/1.0\r\nExpect: 200-ok\r\n")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

static void connection_options(void **state)
{
	static const struct row rows[] = {
		ROW("list with empty elements", 0, WITH("Connection: , close,, x ,")),
		ROW("empty", 0, WITH("Connection:")),
		ROW("no token", FW_BAD_FIELD, WITH("Connection: a b")),
		ROW("quoted", FW_BAD_FIELD, WITH("Connection: \"close\"")),
		ROW("sixteen names", 0, WITH("Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p")),
		ROW("seventeen names", FW_BAD_FIELD,
		    WITH("Connection: a,b,c,d,e,f,g,h\r\nConnection: i,j,k,l,m,n,o,p,q")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

/* What is not complete is neither taken nor refused. */
static void partial(void **state)
{
	static const char text[] = WITH("Content-Length: 5");
	struct http_request request;
	size_t taken;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(feed_request(&request, text, i, &row_limits, i, 1, &taken), 0);
}

/* Bytes after the head belong to the body or to the next request: not looked at. */
static void pipelined(void **state)
{
	static const char text[] = LINE(GET) "\x16\x03garbage";
	struct http_request request;
	size_t taken;

	(void)state;
	assert_int_equal(feed_request(&request, text, sizeof(text) - 1, &row_limits,
				      sizeof(text) - 1, 1, &taken),
			 strlen(LINE(GET)));
}

/* A head of the largest size there is: offsets must not wrap. */
static void largest(void **state)
{
	static char text[HTTP_HEAD_MAX + 1];
	static struct http_request request;
	const struct http_limits most = {
		.target = 8192, .header = UINT32_MAX, .fields = UINT32_MAX};
	int head = snprintf(text, sizeof(text), GET HOST "A: ");
	size_t taken;

	(void)state;
	memset(text + head, 'x', sizeof(text) - (size_t)head);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(feed_request(&request, text, HTTP_HEAD_MAX + 1, &most, 1000, 7919, &taken),
			 HTTP_HEAD_MAX);
	assert_int_equal(request.head.field[1].value.length, HTTP_HEAD_MAX - 4 - head);
	assert_int_equal(request.head.fields_end, HTTP_HEAD_MAX - 2);
	memcpy(text + HTTP_HEAD_MAX - 4, "x\r\n\r", 4);
	assert_int_equal(feed_request(&request, text, HTTP_HEAD_MAX + 1, &most, 1000, 7919, &taken),
			 -FW_HEADER_TOO_LARGE);
}

static void parse(struct http_request *request, const char *text)
{
	http_request_init(request);
	assert_int_equal(http_request_parse(request, text, strlen(text), &row_limits),
			 strlen(text));
}

static void assert_span(const char *text, struct http_span span, const char *expected)
{
	assert_int_equal(span.length, strlen(expected));
	assert_memory_equal(text + span.at, expected, span.length);
}

static void meaning(void **state)
{
	static const char text[] =
		"POST https://Ex.org:8443/p/q?r=s HTTP/1.1\r\nHost: ex.org:8443\r\n"
		"X:  a b \t\r\nContent-Length: 12\r\nExpect: 100-continue\r\n"
		"Connection: x\r\nUser-Agent: u\r\n\r\n";
	struct http_request request;

	(void)state;
	parse(&request, text);
	assert_int_equal(request.method, HTTP_POST);
	assert_span(text, request.verb, "POST");
	assert_span(text, request.target, "https://Ex.org:8443/p/q?r=s");
	assert_span(text, request.path, "/p/q?r=s");
	assert_span(text, request.host, "ex.org:8443");
	assert_int_equal(request.head.count, 6);
	assert_span(text, request.head.field[1].name, "X");
	assert_span(text, request.head.field[1].value, "a b");
	assert_int_equal(request.head.field[1].kind, HTTP_HOP); /* named by Connection */
	assert_int_equal(request.head.framing, HTTP_LENGTH);
	assert_int_equal(request.head.content_length, 12);
	assert_true(request.expect_continue);
	assert_true(request.head.keep_alive);
	assert_false(request.upgrade);
	assert_span(text, http_field_find(&request.head, text, "user-agent")->value, "u");
	assert_null(http_field_find(&request.head, text, "cookie"));
}

static void keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} rows[] = {
		{WITH("A: b"), true},
		{WITH("Connection: Close"), false},
		{WITH("Connection: keep-alive, close"), false},
		{WITH("Connection: keep-alive\r\nConnection: x, close"), false},
		{WITH("Connection: closed"), true},
		{LINE("GET / HTTP/1.0\r\n"), false},
		{LINE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n"), true},
		{LINE("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n"), false},
	};
	struct http_request request;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		parse(&request, rows[i].text);
		assert_int_equal(request.head.keep_alive, rows[i].keep_alive);
	}
}

static void upgrades(void **state)
{
	static const struct {
		const char *text;
		bool upgrade;
	} rows[] = {
		{WITH("Connection: Upgrade\r\nUpgrade: websocket"), true},
		{WITH("Upgrade: foo/1.2\r\nConnection: keep-alive, upgrade"), true},
		{WITH("Upgrade: websocket"), false},
		{WITH("Connection: upgrade"), false},
		{WITH("Connection: upgrade\r\nUpgrade: websocket, h2c"), false},
		{WITH("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c"), false},
		{WITH("Connection: upgrade\r\nUpgrade: H2C"), false},
		{WITH("Connection: upgrade\r\nUpgrade: HTTP/2.0"), false},
		{WITH("Connection: upgrade\r\nUpgrade: TLS/1.2"), false},
		{WITH("Connection: upgrade\r\nUpgrade: websocket/"), false},
		{WITH("Connection: upgrade\r\nUpgrade:"), false},
		{WITH("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1"), false},
		{LINE("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), false},
	};
	struct http_request request;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		parse(&request, rows[i].text);
		assert_int_equal(request.upgrade, rows[i].upgrade);
	}
}

/* A body where the method has no use for one. */
static void odd_bodies(void **state)
{
	static const struct {
		const char *text;
		bool odd;
	} rows[] = {
		{WITH("Content-Length: 0"), false},
		{WITH("Content-Length: 1"), true},
		{WITH("Transfer-Encoding: chunked"), true},
		{LINE("DELETE / HTTP/1.1\r\nContent-Length: 1\r\n"), true},
		{LINE("HEAD / HTTP/1.1\r\nContent-Length: 1\r\n"), true},
		{LINE("POST / HTTP/1.1\r\nContent-Length: 1\r\n"), false},
		{LINE("REPORT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), false},
	};
	struct http_request request;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		parse(&request, rows[i].text);
		assert_int_equal(request.odd_body, rows[i].odd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_lines), cmocka_unit_test(odd_bodies),
		cmocka_unit_test(versions),      cmocka_unit_test(methods),
		cmocka_unit_test(field_lines),   cmocka_unit_test(every_byte),
		cmocka_unit_test(hosts),         cmocka_unit_test(framing),
		cmocka_unit_test(expectations),  cmocka_unit_test(connection_options),
		cmocka_unit_test(partial),       cmocka_unit_test(pipelined),
		cmocka_unit_test(largest),       cmocka_unit_test(meaning),
		cmocka_unit_test(keep_alive),    cmocka_unit_test(upgrades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
