/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What request and response parsers share: field lines, Connection, framing. Private to this
 * folder.
 *
 * A head is read in steps, each for one element of the grammar. A step returns 1 when its element
 * is complete, 0 when it needs more bytes, −enum fw_verdict when no byte to come could mend it. It
 * starts at head->scanned and leaves there what it has judged; head->start is where its element
 * began, which steps set before they hand over.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "proxy/http/http.h"

enum { HTTP_STEP_MORE = 0, HTTP_STEP_DONE = 1 };

void http_head_init(struct http_head *head);

/* The step that reads field lines and the empty line after them; at most @fields of them, each of
 * at most @length bytes. */
int http_head_parse_fields(struct http_head *head, const char *data, uint32_t end, uint32_t fields,
			   uint32_t length);

/* Reads Connection: fills close, persist, upgrade, and makes HTTP_HOP of the fields it names. */
enum fw_verdict http_head_judge_connection(struct http_head *head, const char *data);

/* Reads Content-Length and Transfer-Encoding: HTTP_NO_BODY, HTTP_LENGTH or HTTP_CHUNKED. */
enum fw_verdict http_head_judge_framing(struct http_head *head, const char *data);

/* The field of that kind that came first; NULL: none. */
static inline const struct http_field *http_head_first(const struct http_head *head,
						       enum http_kind kind)
{
	return head->first[kind] ? &head->field[head->first[kind] - 1] : NULL;
}

static inline bool http_head_repeats(const struct http_head *head, enum http_kind kind)
{
	return head->repeated >> kind & 1;
}

/* From @from up to @to, both in the buffer at @data. */
static inline struct http_span http_span(const char *data, const char *from, const char *to)
{
	return (struct http_span){(uint16_t)(from - data), (uint16_t)(to - from)};
}

/* Equal to @text, which is in lower case, but for case. */
bool http_slice_is(struct http_slice slice, const char *text);

/* Cookies in all Cookie fields, counted no further than @most + 1. */
uint32_t http_head_count_cookies(const struct http_head *head, const char *data, uint32_t most);

/* A target in origin form: whether its path can be read one way only. */
bool http_path_valid(struct http_slice target);
/* host[:port] as http_request_parse() demands it. */
bool http_host_valid(struct http_slice host);

#endif
