/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may not stand in a path (RFC 3986 section 3.3), because servers differ on which resource it
 * then names, and a route chosen here by prefix would lead to another one there:
 *
 * - the segments "." and "..", encoded or not, and with parameters ("..;x", "..%3bx", which some
 *   servers strip): every client resolves them before it sends (RFC 3986 section 5.2.4);
 * - a backslash, which some take for a slash;
 * - '%' without two hexadecimal digits, and encoded control characters.
 *
 * An encoded slash stays: APIs use it within names, and it is forwarded as it came. Queries are
 * the application's own. What is encoded without need is forwarded as it came, too, and read as
 * servers read it where a route is chosen.
 */
#include "proxy/http/head.h"
#include "proxy/http/scan.h"

static int hex_value(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The byte that "%XX" at @at stands for; −1: it is cut off, or no hexadecimal. */
static int decode(const char *at, const char *end)
{
	int high, low;

	if (end - at < 3)
		return -1;
	high = hex_value(at[1]);
	low = hex_value(at[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The byte at *@at, decoded, and *@at moved behind it; −1 at the end, or where nothing decodes. */
static int next_byte(const char **at, const char *end)
{
	int byte;

	if (*at == end)
		return -1;
	if (**at != '%')
		return *(*at)++;
	byte = decode(*at, end);
	if (byte >= 0)
		*at += 3;
	return byte;
}

/* Whether the segment that starts at @at is "." or "..". */
static bool is_dots(const char *at, const char *end)
{
	int dots = 0, byte;

	while ((byte = next_byte(&at, end)) == '.')
		dots++;
	return (dots == 1 || dots == 2) &&
	       (byte < 0 || byte == '/' || byte == '\\' || byte == ';' || byte == '?');
}

bool http_path_valid(struct http_slice target)
{
	const char *at = target.at + 1, *end = target.at + target.length;
	int byte;

	while ((at = http_scan_path(at, end)) < end && *at != '?') {
		if (*at == '\\')
			return false;
		if (*at == '.') {
			if (is_dots(at, end))
				return false;
			at++;
			continue;
		}
		byte = decode(at, end);
		if (byte < 0x20 || byte == 0x7f)
			return false;
		if (byte == '.' && at[-1] == '/' && is_dots(at, end))
			return false;
		at += 3;
		if ((byte == '/' || byte == '\\') && is_dots(at, end))
			return false;
	}
	return true;
}

/* Whether a byte that is encoded means what it means bare. */
static bool is_plain(int byte)
{
	return byte > ' ' && byte <= '~' && byte != '/' && byte != '%';
}

uint32_t http_path_read(char *out, uint32_t most, struct http_slice path, uint32_t *used)
{
	const char *at = path.at, *end = path.at + path.length;
	uint32_t count = 0;
	int byte;

	for (; at < end && count < most; count++) {
		byte = *at == '%' ? decode(at, end) : -1;
		at += is_plain(byte) ? 3 : 1;
		if (out)
			out[count] = is_plain(byte) ? (char)byte : at[-1];
	}
	*used = (uint32_t)(at - path.at);
	return count;
}
