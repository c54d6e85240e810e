/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records what our parser does: where each name and value is. It judges less: Host, the names in
 * Connection and Expect are left to its callers.
 */
#include <http_parser.h>
#include "http_parser_peer.h"

enum { FIELDS_MAX = 256 };

/* What the peer's callbacks fill in. */
static struct {
	struct {
		const char *at;
		size_t length;
	} name[FIELDS_MAX], value[FIELDS_MAX], target;
	size_t count;
	bool in_value, complete;
} seen;

static int on_target(http_parser *parser, const char *at, size_t length)
{
	(void)parser;
	if (!seen.target.at)
		seen.target.at = at;
	seen.target.length += length;
	return 0;
}

static int on_name(http_parser *parser, const char *at, size_t length)
{
	(void)parser;
	if (seen.in_value || seen.count == 0) {
		seen.name[seen.count].at = at;
		seen.name[seen.count].length = 0;
		seen.value[seen.count].length = 0;
		seen.count++;
		seen.in_value = false;
	}
	seen.name[seen.count - 1].length += length;
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
	(void)parser;
	if (!seen.in_value) {
		seen.value[seen.count - 1].at = at;
		seen.in_value = true;
	}
	seen.value[seen.count - 1].length += length;
	return 0;
}

static int on_complete(http_parser *parser)
{
	seen.complete = true;
	return parser->type == HTTP_RESPONSE; /* 1: no body follows here */
}

bool peer_parse(const char *data, size_t length, size_t step, bool is_response)
{
	static const http_parser_settings settings = {.on_url = on_target,
						      .on_header_field = on_name,
						      .on_header_value = on_value,
						      .on_headers_complete = on_complete};
	http_parser parser;
	size_t at, run;

	http_parser_init(&parser, is_response ? HTTP_RESPONSE : HTTP_REQUEST);
	seen.count = 0;
	seen.in_value = seen.complete = false;
	seen.target.at = NULL;
	seen.target.length = 0;
	for (at = 0; at < length; at += run) {
		run = length - at < step ? length - at : step;
		if (http_parser_execute(&parser, &settings, data + at, run) != run)
			return false;
	}
	return seen.complete;
}
