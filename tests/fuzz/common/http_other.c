/* SPDX-License-Identifier: BSD-2-Clause */
#include <http_parser.h>
#include <string.h>
#include "http_other.h"

static int on_head(http_parser *parser)
{
	struct http_other_reading *reading = parser->data;

	reading->result = OTHER_TAKEN;
	reading->content_length = parser->content_length;
	reading->chunked = parser->flags & F_CHUNKED;
	http_parser_pause(parser, 1);
	return 0;
}

/* A name may come in pieces, but all of them are given at once here. */
static int on_name(http_parser *parser, const char *at, size_t length)
{
	struct http_other_reading *reading = parser->data;

	(void)at;
	(void)length;
	reading->fields++;
	return 0;
}

struct http_other_reading http_other_read(const char *data, size_t length, bool is_response)
{
	static const http_parser_settings settings = {.on_header_field = on_name,
						      .on_headers_complete = on_head};
	struct http_other_reading reading = {.result = OTHER_PARTIAL};
	http_parser parser;

	http_parser_init(&parser, is_response ? HTTP_RESPONSE : HTTP_REQUEST);
	parser.data = &reading;
	/* Paused in on_head(), it stops before the last LF of the head. */
	reading.length = http_parser_execute(&parser, &settings, data, length) + 1;
	if (reading.result != OTHER_TAKEN && HTTP_PARSER_ERRNO(&parser) == HPE_INVALID_METHOD)
		reading.result = OTHER_UNKNOWN_METHOD;
	else if (reading.result != OTHER_TAKEN && HTTP_PARSER_ERRNO(&parser) != HPE_OK)
		reading.result = OTHER_REFUSED;
	return reading;
}

struct stream {
	char *text;
	size_t room, length, complete;
};

static int on_piece(http_parser *parser, const char *at, size_t length)
{
	struct stream *stream = parser->data;

	if (length > stream->room - stream->length)
		return 1;
	memcpy(stream->text + stream->length, at, length);
	stream->length += length;
	return 0;
}

static int on_head_end(http_parser *parser)
{
	return on_piece(parser, "\n", 1);
}

static int on_end(http_parser *parser)
{
	struct stream *stream = parser->data;

	stream->complete++;
	return on_piece(parser, "\n", 1);
}

size_t http_other_read_stream(const char *data, size_t length, char *text, size_t room,
			      size_t *written, bool *refused)
{
	static const http_parser_settings settings = {.on_url = on_piece,
						      .on_headers_complete = on_head_end,
						      .on_body = on_piece,
						      .on_message_complete = on_end};
	struct stream stream = {.text = text, .room = room};
	http_parser parser;

	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = &stream;
	http_parser_execute(&parser, &settings, data, length);
	*written = stream.length;
	/* A name that only begins with Transfer-Encoding is taken for it. */
	*refused = HTTP_PARSER_ERRNO(&parser) == HPE_INVALID_TRANSFER_ENCODING ||
		   HTTP_PARSER_ERRNO(&parser) == HPE_UNEXPECTED_CONTENT_LENGTH;
	return stream.complete;
}
