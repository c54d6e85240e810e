// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/http/lines.h"
#include <string.h>

/* The line at *@at without its CRLF. False: none is complete. */
static bool take_line(const char **at, const char *end, struct http_slice *line)
{
	const char *feed = memchr(*at, '\n', (size_t)(end - *at));

	if (!feed || feed == *at)
		return false;
	*line = (struct http_slice){*at, (uint32_t)(feed - *at) - 1};
	*at = feed + 1;
	return true;
}

static struct http_slice between(const char *from, const char *to)
{
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (from < to && (to[-1] == ' ' || to[-1] == '\t'))
		to--;
	return (struct http_slice){from, (uint32_t)(to - from)};
}

bool http_line_request(const char **at, const char *end, struct http_slice *verb,
		       struct http_slice *target)
{
	const char *space, *second;
	struct http_slice line;

	if (!take_line(at, end, &line))
		return false;
	space = memchr(line.at, ' ', line.length);
	if (!space)
		return false;
	second = memchr(space + 1, ' ', line.length - (size_t)(space + 1 - line.at));
	if (!second)
		return false;
	*verb = (struct http_slice){line.at, (uint32_t)(space - line.at)};
	*target = (struct http_slice){space + 1, (uint32_t)(second - space) - 1};
	return true;
}

bool http_line_next(const char **at, const char *end, struct http_line *line)
{
	struct http_slice text;
	const char *colon;

	if (!take_line(at, end, &text))
		return false;
	colon = memchr(text.at, ':', text.length);
	if (!colon)
		return false;
	line->name = (struct http_slice){text.at, (uint32_t)(colon - text.at)};
	line->value = between(colon + 1, text.at + text.length);
	return true;
}
