/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams that are meant to be cut differently by the proxy and by the server behind it. A row says
 * how many requests the stream holds and which verdict ends it; there is no third reading. Streams
 * that look odd but have one meaning by RFC 9112 are here too: they must be taken, and rightly cut.
 */
#include "rows.h"

struct stream {
	const char *what;
	const char *data;
	size_t length;
	int requests; /* complete ones */
	int verdict;  /* that ends the stream; 0: it ends after the last request */
};

#define STREAM(what, requests, verdict, text)                                                      \
	{                                                                                          \
		what, text, sizeof(text) - 1, requests, verdict                                    \
	}
#define OPEN  "POST / HTTP/1.1\r\nHost: a\r\n"
#define INNER "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n" /* 32 bytes */
#define ZERO  "0\r\n\r\n"
#define CL    "Content-Length: 5\r\n"
#define TE    "Transfer-Encoding: chunked\r\n"
/* A head with one odd line, then an empty chunked body and the request to be smuggled. */
#define ODD(line) OPEN line "\r\n" ZERO INNER
/* The same beside a Content-Length. */
#define ODD_CL(line) OPEN CL line "\r\n" ZERO INNER
#define CHUNKS(body) OPEN TE "\r\n" body

enum { PARTIAL = -1 }; /* for verdict: the last request is not complete */

static const struct stream streams[] = {
	/* Two framings at once. */
	STREAM("CL.TE", 0, FW_BAD_FRAMING, OPEN CL TE "\r\n" ZERO INNER),
	STREAM("TE.CL", 0, FW_BAD_FRAMING, OPEN TE CL "\r\n" ZERO INNER),
	STREAM("CL.TE with an inner prefix", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 6\r\n" TE "\r\n" ZERO "G"),
	STREAM("TE.CL with an inner chunk", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 4\r\n" TE "\r\n20\r\n" INNER "\r\n" ZERO),
	STREAM("CL 0 and TE", 0, FW_BAD_FRAMING, OPEN "Content-Length: 0\r\n" TE "\r\n" ZERO INNER),
	STREAM("TE and an invalid CL", 0, FW_BAD_FRAMING, OPEN TE "Content-Length: x\r\n\r\n" ZERO),
	STREAM("TE and an empty CL", 0, FW_BAD_FRAMING, OPEN TE "Content-Length:\r\n\r\n" ZERO),
	STREAM("TE named by Connection, and CL", 0, FW_BAD_FRAMING,
	       OPEN "Connection: Transfer-Encoding\r\n" CL TE "\r\n" ZERO),
	STREAM("CL named by Connection", 2, 0,
	       OPEN "Connection: Content-Length\r\n" CL "\r\nhello" INNER),
	STREAM("TE named by Connection", 2, 0,
	       OPEN "Connection: Transfer-Encoding\r\n" TE "\r\n" ZERO INNER),

	/* Transfer-Encoding that some parsers miss and others find. */
	STREAM("space before the colon", 0, FW_BAD_FIELD, ODD("Transfer-Encoding : chunked\r\n")),
	STREAM("tab before the colon", 0, FW_BAD_FIELD, ODD("Transfer-Encoding\t: chunked\r\n")),
	STREAM("space before the name", 0, FW_BAD_FIELD, ODD(" Transfer-Encoding: chunked\r\n")),
	STREAM("tab before the name", 0, FW_BAD_FIELD, ODD("\tTransfer-Encoding: chunked\r\n")),
	STREAM("after a bare LF", 0, FW_BAD_FIELD, ODD("X: y\nTransfer-Encoding: chunked\r\n")),
	STREAM("after a bare CR", 0, FW_BAD_FIELD, ODD("X: y\rTransfer-Encoding: chunked\r\n")),
	STREAM("after a NUL", 0, FW_BAD_FIELD, ODD("X: y\0Transfer-Encoding: chunked\r\n")),
	STREAM("LF in the name", 0, FW_BAD_FIELD, ODD("Transfer-\nEncoding: chunked\r\n")),
	STREAM("CR in the name", 0, FW_BAD_FIELD, ODD("Transfer-\rEncoding: chunked\r\n")),
	STREAM("LF before the colon", 0, FW_BAD_FIELD, ODD("Transfer-Encoding\n: chunked\r\n")),
	STREAM("CRLF before the colon", 0, FW_BAD_FIELD, ODD("Transfer-Encoding\r\n: chunked\r\n")),
	STREAM("NUL before the name", 0, FW_BAD_FIELD, ODD("\0Transfer-Encoding: chunked\r\n")),
	STREAM("NUL after the name", 0, FW_BAD_FIELD, ODD("Transfer-Encoding\0: chunked\r\n")),
	STREAM("UTF-8 mark before the name", 0, FW_BAD_FIELD,
	       ODD("\xef\xbb\xbfTransfer-Encoding: chunked\r\n")),
	STREAM("no-break space before the colon", 0, FW_BAD_FIELD,
	       ODD("Transfer-Encoding\xa0: chunked\r\n")),
	STREAM("no colon", 0, FW_BAD_FIELD, ODD("Transfer-Encoding chunked\r\n")),
	STREAM("folded before the value", 0, FW_BAD_FIELD,
	       ODD("Transfer-Encoding:\r\n chunked\r\n")),
	STREAM("folded by a tab", 0, FW_BAD_FIELD, ODD("Transfer-Encoding:\r\n\tchunked\r\n")),
	STREAM("folded away", 0, FW_BAD_FIELD, ODD("X: y\r\n Transfer-Encoding: chunked\r\n")),
	STREAM("folded in the value", 0, FW_BAD_FIELD,
	       ODD("Transfer-Encoding: chunked\r\n , identity\r\n")),
	STREAM("folded after a bare LF", 0, FW_BAD_FIELD, ODD("Transfer-Encoding:\n chunked\r\n")),
	STREAM("underscore", 0, FW_BAD_FIELD, ODD("Transfer_Encoding: chunked\r\n")),
	STREAM("vertical tab in the value", 0, FW_BAD_FIELD,
	       ODD("Transfer-Encoding: \x0b"
		   "chunked\r\n")),
	STREAM("form feed in the value", 0, FW_BAD_FIELD,
	       ODD("Transfer-Encoding: \x0c"
		   "chunked\r\n")),
	STREAM("NUL in the value", 0, FW_BAD_FIELD, ODD("Transfer-Encoding: chunked\0\r\n")),
	STREAM("CR after the value", 0, FW_BAD_FIELD, ODD("Transfer-Encoding: chunked\r\r\n")),
	STREAM("DEL after the value", 0, FW_BAD_FIELD, ODD("Transfer-Encoding: chunked\x7f\r\n")),
	STREAM("no-break space in the value", 0, FW_CODING_UNSUPPORTED,
	       ODD("Transfer-Encoding: \xa0"
		   "chunked\r\n")),
	STREAM("prefix", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: xchunked\r\n")),
	STREAM("suffix", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: chunkedx\r\n")),
	STREAM("short", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: chunk\r\n")),
	STREAM("quoted", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: \"chunked\"\r\n")),
	STREAM("single quotes", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: 'chunked'\r\n")),
	STREAM("semicolon", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: chunked;\r\n")),
	STREAM("colon twice", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding:: chunked\r\n")),
	STREAM("comma before", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: ,chunked\r\n")),
	STREAM("comma after", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: chunked,\r\n")),
	STREAM("then identity", 0, FW_CODING_UNSUPPORTED,
	       ODD("Transfer-Encoding: chunked, identity\r\n")),
	STREAM("identity first", 0, FW_CODING_UNSUPPORTED,
	       ODD("Transfer-Encoding: identity, chunked\r\n")),
	STREAM("gzip first", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: gzip, chunked\r\n")),
	STREAM("made up", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: cow\r\n")),
	STREAM("two words", 0, FW_CODING_UNSUPPORTED, ODD("Transfer-Encoding: chunked x\r\n")),
	STREAM("second field", 0, FW_BAD_FRAMING, ODD("Transfer-Encoding: x\r\n" TE)),
	STREAM("second field, other order", 0, FW_BAD_FRAMING, ODD(TE "Transfer-Encoding: x\r\n")),
	STREAM("second field, other case", 0, FW_BAD_FRAMING, ODD(TE "transfer-encoding: x\r\n")),
	STREAM("second field, empty", 0, FW_BAD_FRAMING, ODD(TE "Transfer-Encoding:\r\n")),
	STREAM("HTTP/1.0", 0, FW_BAD_FRAMING,
	       "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n" TE "\r\n" ZERO INNER),
	STREAM("tab before the value", 2, 0, ODD("Transfer-Encoding:\tchunked\r\n")),
	STREAM("no space before the value", 2, 0, ODD("Transfer-Encoding:chunked\r\n")),
	STREAM("space after the value", 2, 0, ODD("Transfer-Encoding: chunked  \t\r\n")),
	STREAM("upper case", 2, 0, ODD("TRANSFER-ENCODING: CHUNKED\r\n")),

	/* The same beside Content-Length: whoever sees both, or only one, must not be us alone. */
	STREAM("CL, space before the colon", 0, FW_BAD_FIELD,
	       ODD_CL("Transfer-Encoding : chunked\r\n")),
	STREAM("CL, bare LF", 0, FW_BAD_FIELD, ODD_CL("X: y\nTransfer-Encoding: chunked\r\n")),
	STREAM("CL, underscore", 0, FW_BAD_FIELD, ODD_CL("Transfer_Encoding: chunked\r\n")),
	STREAM("CL, quoted", 0, FW_BAD_FRAMING, ODD_CL("Transfer-Encoding: \"chunked\"\r\n")),
	STREAM("CL, made up", 0, FW_BAD_FRAMING, ODD_CL("Transfer-Encoding: x\r\n")),
	STREAM("CL, identity", 0, FW_BAD_FRAMING, ODD_CL("Transfer-Encoding: identity\r\n")),
	STREAM("CL, name with a letter more", 2, 0, ODD_CL("Transfer-Encodings: chunked\r\n")),
	STREAM("CL, Content-Encoding", 2, 0, ODD_CL("Content-Encoding: chunked\r\n")),

	/* Content-Length that is read differently. */
	STREAM("CL.0", 2, 0, OPEN "Content-Length: 32\r\n\r\n" INNER INNER),
	STREAM("CL on GET", 2, 0,
	       "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\n" INNER INNER),
	STREAM("no CL on POST", 2, 0, OPEN "\r\n" INNER),
	STREAM("CL 0", 2, 0, OPEN "Content-Length: 0\r\n\r\n" INNER),
	STREAM("CL longer than the stream", 0, PARTIAL, OPEN "Content-Length: 33\r\n\r\n" INNER),
	STREAM("CL of leading zeros is decimal", 2, 0,
	       OPEN "Content-Length: 010\r\n\r\n0123456789" INNER),
	STREAM("CL twice", 0, FW_BAD_FRAMING, OPEN CL "Content-Length: 37\r\n\r\nhello" INNER),
	STREAM("CL twice the same", 0, FW_BAD_FRAMING, OPEN CL CL "\r\nhello" INNER),
	STREAM("CL list", 0, FW_BAD_FRAMING, OPEN "Content-Length: 5, 37\r\n\r\nhello" INNER),
	STREAM("CL list of equals", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 5, 5\r\n\r\nhello" INNER),
	STREAM("CL with plus", 0, FW_BAD_FRAMING, OPEN "Content-Length: +5\r\n\r\nhello" INNER),
	STREAM("CL with minus", 0, FW_BAD_FRAMING, OPEN "Content-Length: -5\r\n\r\nhello" INNER),
	STREAM("CL -0", 0, FW_BAD_FRAMING, OPEN "Content-Length: -0\r\n\r\n" INNER),
	STREAM("CL hexadecimal", 0, FW_BAD_FRAMING, OPEN "Content-Length: 0x5\r\n\r\nhello" INNER),
	STREAM("CL with an exponent", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 5e0\r\n\r\nhello" INNER),
	STREAM("CL with an underscore", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 0_5\r\n\r\nhello" INNER),
	STREAM("CL and a letter", 0, FW_BAD_FRAMING, OPEN "Content-Length: 5a\r\n\r\nhello" INNER),
	STREAM("CL and a comma", 0, FW_BAD_FRAMING, OPEN "Content-Length: 5,\r\n\r\nhello" INNER),
	STREAM("CL and another number", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 5 37\r\n\r\nhello" INNER),
	STREAM("CL that wraps to 5", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: 18446744073709551621\r\n\r\nhello" INNER),
	STREAM("CL that wraps 32 bits", 0, PARTIAL,
	       OPEN "Content-Length: 4294967301\r\n\r\nhello" INNER),
	STREAM("CL with a NUL", 0, FW_BAD_FIELD, OPEN "Content-Length: 5\0\r\n\r\nhello" INNER),
	STREAM("CL with a vertical tab", 0, FW_BAD_FIELD,
	       OPEN "Content-Length: \x0b"
		    "5\r\n\r\nhello" INNER),
	STREAM("CL with a no-break space", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: \xa0"
		    "5\r\n\r\nhello" INNER),
	STREAM("CL of fullwidth digits", 0, FW_BAD_FRAMING,
	       OPEN "Content-Length: \xef\xbc\x95\r\n\r\nhello" INNER),
	STREAM("CL, space before the colon", 0, FW_BAD_FIELD,
	       OPEN "Content-Length : 5\r\n\r\nhello" INNER),
	STREAM("CL folded", 0, FW_BAD_FIELD, OPEN "Content-Length:\r\n 5\r\n\r\nhello" INNER),
	STREAM("CL continued", 0, FW_BAD_FIELD, OPEN "Content-Length: 3\r\n 8\r\n\r\nhello" INNER),
	STREAM("CL with underscore", 0, FW_BAD_FIELD, OPEN "Content_Length: 5\r\n\r\nhello" INNER),
	STREAM("CL after a bare LF", 0, FW_BAD_FIELD,
	       OPEN "X: y\nContent-Length: 5\r\n\r\nhello" INNER),

	/* Chunks. */
	STREAM("chunks", 2, 0, CHUNKS("5\r\nhello\r\n1\r\n!\r\n" ZERO INNER)),
	STREAM("size of leading zeros", 2, 0, CHUNKS("0000000000000005\r\nhello\r\n" ZERO INNER)),
	STREAM("last chunk of many zeros", 2, 0, CHUNKS("0000\r\n\r\n" INNER)),
	STREAM("request inside a chunk", 1, 0, CHUNKS("20\r\n" INNER "\r\n" ZERO)),
	STREAM("size over 64 bits", 0, FW_BAD_CHUNK, CHUNKS("10000000000000005\r\nhello\r\n" ZERO)),
	STREAM("size of 17 zeros and 5", 0, FW_BAD_CHUNK,
	       CHUNKS("00000000000000005\r\nhello\r\n" ZERO)),
	STREAM("size over 63 bits", 0, FW_BAD_CHUNK, CHUNKS("ffffffffffffffff\r\nhello\r\n" ZERO)),
	STREAM("size that wraps 32 bits", 0, PARTIAL, CHUNKS("100000005\r\nhello\r\n" ZERO)),
	STREAM("sizes whose sum wraps", 0, FW_BODY_TOO_LARGE,
	       CHUNKS("5\r\nhello\r\n7fffffffffffffff\r\nhello\r\n" ZERO)),
	STREAM("size with 0x", 0, FW_BAD_CHUNK, CHUNKS("0x5\r\nhello\r\n" ZERO)),
	STREAM("size with plus", 0, FW_BAD_CHUNK, CHUNKS("+5\r\nhello\r\n" ZERO)),
	STREAM("size with minus", 0, FW_BAD_CHUNK, CHUNKS("-5\r\nhello\r\n" ZERO)),
	STREAM("size with underscore", 0, FW_BAD_CHUNK, CHUNKS("0_5\r\nhello\r\n" ZERO)),
	STREAM("size missing", 0, FW_BAD_CHUNK, CHUNKS("\r\nhello\r\n" ZERO)),
	STREAM("size no number", 0, FW_BAD_CHUNK, CHUNKS("g\r\nhello\r\n" ZERO)),
	STREAM("space before the size", 0, FW_BAD_CHUNK, CHUNKS(" 5\r\nhello\r\n" ZERO)),
	STREAM("space after the size", 0, FW_BAD_CHUNK, CHUNKS("5 \r\nhello\r\n" ZERO)),
	STREAM("tab after the size", 0, FW_BAD_CHUNK, CHUNKS("5\t\r\nhello\r\n" ZERO)),
	STREAM("NUL after the size", 0, FW_BAD_CHUNK, CHUNKS("5\0\r\nhello\r\n" ZERO)),
	STREAM("extension", 0, FW_BAD_CHUNK, CHUNKS("5;a=b\r\nhello\r\n" ZERO)),
	STREAM("empty extension", 0, FW_BAD_CHUNK, CHUNKS("5;\r\nhello\r\n" ZERO)),
	STREAM("bare LF in an extension", 0, FW_BAD_CHUNK, CHUNKS("5;\nhello\r\n" ZERO)),
	STREAM("bare CR in an extension", 0, FW_BAD_CHUNK, CHUNKS("5;\rhello\r\n" ZERO)),
	STREAM("extension of the last chunk", 0, FW_BAD_CHUNK, CHUNKS("0;a\r\n\r\n" INNER)),
	STREAM("bare LF after the size", 0, FW_BAD_CHUNK, CHUNKS("5\nhello\r\n" ZERO)),
	STREAM("bare CR after the size", 0, FW_BAD_CHUNK, CHUNKS("5\rhello\r\n" ZERO)),
	STREAM("CR CR LF after the size", 0, FW_BAD_CHUNK, CHUNKS("5\r\r\nhello\r\n" ZERO)),
	STREAM("LF CR after the size", 0, FW_BAD_CHUNK, CHUNKS("5\n\rhello\r\n" ZERO)),
	STREAM("data longer than its size", 0, FW_BAD_CHUNK, CHUNKS("4\r\nhello\r\n" ZERO)),
	STREAM("data shorter than its size", 0, FW_BAD_CHUNK, CHUNKS("6\r\nhello\r\n" ZERO)),
	STREAM("bare LF after the data", 0, FW_BAD_CHUNK, CHUNKS("5\r\nhello\n" ZERO)),
	STREAM("bare CR after the data", 0, FW_BAD_CHUNK, CHUNKS("5\r\nhello\r" ZERO)),
	STREAM("two letters for the CRLF after the data", 0, FW_BAD_CHUNK,
	       CHUNKS("5\r\nhelloXX" ZERO INNER)),
	STREAM("nothing after the data", 0, FW_BAD_CHUNK, CHUNKS("5\r\nhello" ZERO)),
	STREAM("trailer", 0, FW_BAD_CHUNK, CHUNKS("0\r\nX: y\r\n\r\n" INNER)),
	STREAM("trailer that frames", 0, FW_BAD_CHUNK,
	       CHUNKS("0\r\nContent-Length: 32\r\n\r\n" INNER)),
	STREAM("request for the last CRLF", 0, FW_BAD_CHUNK, CHUNKS("0\r\n" INNER)),
	STREAM("bare LF after the last size", 0, FW_BAD_CHUNK, CHUNKS("0\n\n" INNER)),
	STREAM("bare LF at the end", 0, FW_BAD_CHUNK, CHUNKS("0\r\n\n" INNER)),
	STREAM("last CRLF missing", 0, PARTIAL, CHUNKS("0\r\n")),
	STREAM("no last chunk", 0, PARTIAL, CHUNKS("5\r\nhello\r\n")),

	/* Requests within request lines and fields. */
	STREAM("request line in the target", 0, FW_BAD_REQUEST_LINE,
	       "GET /x HTTP/1.1 HTTP/1.1\r\n" INNER),
	STREAM("line split by a bare LF", 0, FW_BAD_REQUEST_LINE, "GET /\nX: HTTP/1.1\r\n" INNER),
	STREAM("line split by a bare CR", 0, FW_BAD_REQUEST_LINE, "GET /\rX: HTTP/1.1\r\n" INNER),
	STREAM("line folded", 0, FW_BAD_REQUEST_LINE, "GET /\r\n HTTP/1.1\r\n" INNER),
	STREAM("line without version", 0, FW_BAD_REQUEST_LINE, "GET /inner\r\n" INNER),
	STREAM("form feed for a space", 0, FW_BAD_REQUEST_LINE, "GET\x0c/ HTTP/1.1\r\n" INNER),
	STREAM("vertical tab before the version", 0, FW_BAD_REQUEST_LINE,
	       "GET /\x0bHTTP/1.1\r\n" INNER),
	STREAM("version twice", 0, FW_BAD_REQUEST_LINE, "GET / HTTP/1.1HTTP/1.1\r\n" INNER),
	STREAM("spaces between requests", 1, FW_BAD_REQUEST_LINE, INNER "  " INNER),
	STREAM("one CRLF between requests", 2, 0, INNER "\r\n" INNER),
	STREAM("two CRLF between requests", 1, FW_BAD_REQUEST_LINE, INNER "\r\n\r\n" INNER),
	STREAM("bare LF between requests", 1, FW_BAD_REQUEST_LINE, INNER "\n" INNER),
	STREAM("LF LF ends no head", 0, FW_BAD_FIELD, "GET / HTTP/1.1\r\nHost: a\n\n" INNER),
	STREAM("LF CR LF ends no head", 0, FW_BAD_FIELD, "GET / HTTP/1.1\r\nHost: a\n\r\n" INNER),
	STREAM("CR LF LF ends no head", 0, FW_BAD_FIELD, "GET / HTTP/1.1\r\nHost: a\r\n\n" INNER),
	STREAM("CR LF CR ends no head", 0, FW_BAD_FIELD, "GET / HTTP/1.1\r\nHost: a\r\n\r" INNER),
	STREAM("a value that holds a request", 1, 0,
	       "GET / HTTP/1.1\r\nHost: a\r\nX: GET /inner HTTP/1.1\r\n\r\n"),

	/* Hosts. */
	STREAM("host twice", 0, FW_BAD_HOST, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
	STREAM("host twice, one with space", 0, FW_BAD_FIELD,
	       "GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n"),
	STREAM("host folded", 0, FW_BAD_FIELD, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
	STREAM("host first line with space", 0, FW_BAD_FIELD,
	       "GET / HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n"),
	STREAM("host list", 0, FW_BAD_HOST, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
	STREAM("host with user", 0, FW_BAD_HOST, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
	STREAM("host with port injection", 0, FW_BAD_HOST,
	       "GET / HTTP/1.1\r\nHost: a:80@b\r\n\r\n"),
	STREAM("absolute form, other host", 0, FW_BAD_HOST,
	       "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
	STREAM("absolute form, user", 0, FW_BAD_REQUEST_LINE,
	       "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
	STREAM("absolute form, backslash", 0, FW_BAD_REQUEST_LINE,
	       "GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
	STREAM("authority form", 0, FW_BAD_REQUEST_LINE, "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
	STREAM("userinfo form", 0, FW_BAD_REQUEST_LINE, "GET @b/ HTTP/1.1\r\nHost: a\r\n\r\n"),

	/* Leaving HTTP/1. */
	STREAM("HTTP/2 preface", 0, FW_METHOD_UNSUPPORTED, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	STREAM("HTTP/2 preface after a request", 1, FW_METHOD_UNSUPPORTED,
	       INNER "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	STREAM("HTTP/2 in the line", 0, FW_VERSION_UNSUPPORTED, "GET / HTTP/2\r\nHost: a\r\n\r\n"),
	STREAM("tunnel", 0, FW_METHOD_UNSUPPORTED,
	       "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" INNER),
	STREAM("TLS", 0, FW_BAD_REQUEST_LINE, "\x16\x03\x01\x00\xa5\x01"),
	STREAM("h2c, ignored", 2, 0,
	       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
	       "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" INNER),
	STREAM("expectation beside others", 0, FW_BAD_EXPECTATION,
	       OPEN "Expect: 100-continue, x\r\n" CL "\r\nhello"),
};

struct outcome {
	int requests;
	int64_t result; /* of the last parse */
};

/* Cuts a stream into requests; @first bytes of each element come at once, then @step at a time. */
static struct outcome cut_stream(const struct stream *stream, size_t first, size_t step)
{
	static struct http_request request;
	const char *at = stream->data, *end = stream->data + stream->length;
	struct outcome outcome = {0, 0};
	struct http_chunks chunks;
	int64_t body;
	size_t taken, left;

	while (at < end) {
		left = (size_t)(end - at);
		outcome.result = feed_request(&request, at, left, &row_limits,
					      first < left ? first : left, step, &taken);
		if (outcome.result <= 0)
			return outcome;
		at += outcome.result;
		left = (size_t)(end - at);
		body = 0;
		outcome.result = 0;
		if (request.head.framing == HTTP_LENGTH) {
			if (request.head.content_length > left)
				return outcome;
			body = (int64_t)request.head.content_length;
		} else if (request.head.framing == HTTP_CHUNKED) {
			body = feed_chunks(&chunks, at, left, (struct http_chunk_limits){0},
					   first < left ? first : left, step);
			if (body < 0)
				outcome.result = body;
			if (body < 0 || !chunks.done)
				return outcome;
		}
		at += body;
		outcome.requests++;
		outcome.result = 1;
	}
	return outcome;
}

static void check(const struct stream *stream, size_t first, size_t step)
{
	struct outcome outcome = cut_stream(stream, first, step);
	int64_t expected = stream->verdict == 0         ? 1
			   : stream->verdict == PARTIAL ? 0
							: -stream->verdict;

	if (outcome.requests != stream->requests || outcome.result != expected)
		fail_msg("%s, cut at %zu: %d requests, then %s; expected %d, then %s", stream->what,
			 first, outcome.requests, result_name(outcome.result), stream->requests,
			 result_name(expected));
}

static void one_reading(void **state)
{
	size_t i, cut;

	(void)state;
	for (i = 0; i < COUNT(streams); i++) {
		for (cut = 0; cut <= streams[i].length; cut++)
			check(&streams[i], cut, streams[i].length);
		check(&streams[i], 0, 1);
	}
}

/* What is forwarded of a stream that we take must have that one reading too, for anyone. */
static void forwarded_plainly(void **state)
{
	static struct http_request request, again;
	const struct http_forward forward = {.address = {"192.0.2.1", 9}};
	char out[1024];
	int result, length;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(streams); i++) {
		http_request_init(&request);
		result = http_request_parse(&request, streams[i].data, streams[i].length,
					    &row_limits);
		if (result <= 0)
			continue;
		length = http_request_write(out, sizeof(out), &request, streams[i].data, &forward);
		assert_true(length > 0);
		http_request_init(&again);
		assert_int_equal(http_request_parse(&again, out, (size_t)length, &row_limits),
				 length);
		assert_int_equal(again.head.framing, request.head.framing);
		assert_int_equal(again.head.content_length, request.head.content_length);
		assert_false(again.upgrade);
		assert_null(http_field_find(&again.head, out, "connection"));
		assert_null(http_field_find(&again.head, out, "upgrade"));
		assert_null(http_field_find(&again.head, out, "http2-settings"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_reading),
		cmocka_unit_test(forwarded_plainly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
