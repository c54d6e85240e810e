// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cookies of a request (RFC 6265 section 4.2.1): "a=1; b=2", in one field or, over HTTP/2, several.
 */
#include <string.h>
#include "proxy/http/http.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct http_slice trim(struct http_slice slice)
{
	while (slice.length && is_blank(*slice.at)) {
		slice.at++;
		slice.length--;
	}
	while (slice.length && is_blank(slice.at[slice.length - 1]))
		slice.length--;
	return slice;
}

/* Cuts off what stands before the next @mark, which goes with it. */
static struct http_slice cut(struct http_slice *rest, char mark)
{
	const char *at = memchr(rest->at, mark, rest->length);
	struct http_slice piece = {rest->at, at ? (uint32_t)(at - rest->at) : rest->length};
	uint32_t gone = piece.length + (at != NULL);

	rest->at += gone;
	rest->length -= gone;
	return piece;
}

/* In one field; length 0: it is not there, or empty. */
static struct http_slice find_in(struct http_slice field, struct http_slice wanted)
{
	while (field.length) {
		struct http_slice value = cut(&field, ';'), name = trim(cut(&value, '='));

		value = trim(value);
		if (value.length && name.length == wanted.length &&
		    memcmp(name.at, wanted.at, name.length) == 0)
			return value;
	}
	return (struct http_slice){0};
}

struct http_slice http_cookie_find(const struct http_head *head, const char *data, const char *name)
{
	const struct http_slice wanted = {name, (uint32_t)strlen(name)};
	struct http_slice found = {0};

	for (uint16_t i = 0; i < head->count && !found.length; i++)
		if (head->field[i].kind == HTTP_COOKIE)
			found = find_in(http_slice(data, head->field[i].value), wanted);
	return found;
}
