/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may stand in Host (RFC 9110 section 7.2), narrower than RFC 3986 lets it: no user info, no
 * percent-encoding, no sub-delimiters, no empty host or port. Whatever routes or caches by Host
 * behind us can then read it one way only.
 */
#include <arpa/inet.h>
#include <string.h>
#include "proxy/http/head.h"
#include "proxy/http/scan.h"

static bool port_valid(const char *at, const char *end)
{
	uint32_t port = 0;

	if (at == end || end - at > 5)
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		port = port * 10 + (uint32_t)(*at - '0');
	}
	return port <= UINT16_MAX;
}

static bool ipv6_valid(const char *at, const char *end)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	size_t length = (size_t)(end - at);

	if (length >= sizeof(text))
		return false;
	memcpy(text, at, length);
	text[length] = 0;
	return inet_pton(AF_INET6, text, &addr) == 1;
}

bool http_host_valid(struct http_slice host)
{
	const char *at = host.at, *end = host.at + host.length;

	if (host.length == 0)
		return false;
	if (*at == '[') {
		at = memchr(at, ']', host.length);
		if (!at || !ipv6_valid(host.at + 1, at))
			return false;
		at++;
	} else {
		at = http_scan_table(at, end, HTTP_BYTE_HOST);
		if (at == host.at || at - host.at > 255)
			return false;
	}
	return at == end || (*at == ':' && port_valid(at + 1, end));
}
