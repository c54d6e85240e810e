/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads that we have written ourselves, taken apart again: nothing is judged, because the parser
 * has, before they were written.
 */
#ifndef HTTP_LINES_H
#define HTTP_LINES_H

#include "proxy/http/http.h"

struct http_line {
	struct http_slice name, value; /* value without the white space around it */
};

/* The first line of a request, "METHOD target HTTP/1.1": *@at is behind it afterwards. False: there
 * is none. */
bool http_line_request(const char **at, const char *end, struct http_slice *verb,
		       struct http_slice *target);
/* The next field line; false: there is no more of them before @end or the empty line. */
bool http_line_next(const char **at, const char *end, struct http_line *line);

#endif
