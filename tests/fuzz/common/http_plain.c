/* SPDX-License-Identifier: BSD-2-Clause */
#include "http_plain.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const methods[] = {
#define HTTP_METHOD(id, token, content) token,
#include "contract/methods.def"
#undef HTTP_METHOD
};

/* Names that nobody may imitate with another mark for the hyphen. */
static const char *const guarded[] = {"content-length", "transfer-encoding", "keep-alive",
				      "x-forwarded-for", "x-forwarded-proto"};

static bool is(struct plain_text text, const char *other)
{
	return text.length == strlen(other) && !strncasecmp(text.at, other, text.length);
}

static bool is_token_byte(char byte)
{
	return isalnum((unsigned char)byte) || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static struct plain_text trim(struct plain_text text)
{
	while (text.length && (*text.at == ' ' || *text.at == '\t'))
		text.at++, text.length--;
	while (text.length && strchr(" \t", text.at[text.length - 1]))
		text.length--;
	return text;
}

/* Cuts off what stands before @mark, which goes too. False: no @mark. */
static bool cut(struct plain_text *from, const char *mark, struct plain_text *before)
{
	const char *found = memmem(from->at, from->length, mark, strlen(mark));

	if (!found)
		return false;
	*before = (struct plain_text){from->at, (size_t)(found - from->at)};
	from->length -= before->length + strlen(mark);
	from->at = found + strlen(mark);
	return true;
}

static bool is_port(struct plain_text port)
{
	size_t i;

	for (i = 0; i < port.length; i++)
		if (!isdigit((unsigned char)port.at[i]))
			return false;
	return port.length >= 1 && port.length <= 5 && atoi(port.at) <= 65535;
}

static bool is_host(struct plain_text host)
{
	char address[64] = "";
	struct in6_addr ignored;
	struct plain_text name;
	size_t i;

	if (host.length && *host.at == '[') {
		host.at++, host.length--;
		if (!cut(&host, "]", &name) || name.length >= INET6_ADDRSTRLEN)
			return false;
		memcpy(address, name.at, name.length);
		if (memchr(name.at, 0, name.length) || inet_pton(AF_INET6, address, &ignored) != 1)
			return false;
		if (!host.length)
			return true;
		host.at++, host.length--;
		return host.at[-1] == ':' && is_port(host);
	}
	if (cut(&host, ":", &name)) {
		if (!is_port(host))
			return false;
		host = name;
	}
	for (i = 0; i < host.length; i++)
		if (!isalnum((unsigned char)host.at[i]) && !strchr("-._", host.at[i]))
			return false;
	return host.length >= 1 && host.length <= 255;
}

/* Decodes the path byte by byte, and looks at each segment of it; see path.c. */
static bool is_path(struct plain_text target)
{
	char decoded[70000], hex[3] = "";
	size_t length = 0, i, start, name;

	for (i = 0; i < target.length && target.at[i] != '?'; i++) {
		if (target.at[i] == '\\')
			return false;
		decoded[length] = target.at[i];
		if (target.at[i] == '%') {
			if (target.length - i < 3 || !isxdigit((unsigned char)target.at[i + 1]) ||
			    !isxdigit((unsigned char)target.at[i + 2]))
				return false;
			memcpy(hex, target.at + i + 1, 2);
			decoded[length] = (char)strtol(hex, NULL, 16);
			if (iscntrl((unsigned char)decoded[length]))
				return false;
			i += 2;
		}
		length++;
	}
	for (start = 0; start < length; start = i + 1) {
		for (i = start; i < length && decoded[i] != '/' && decoded[i] != '\\'; i++)
			;
		name = start;
		while (name < i && decoded[name] != ';' && decoded[name] != '?')
			name++;
		if ((name - start == 1 && decoded[start] == '.') ||
		    (name - start == 2 && decoded[start] == '.' && decoded[start + 1] == '.'))
			return false;
	}
	return true;
}

static bool read_line(struct plain_request *request, struct plain_text line)
{
	struct plain_text target, scheme;
	size_t i;

	if (!cut(&line, " ", &request->method) || !cut(&line, " ", &target))
		return false;
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strlen(methods[i]) == request->method.length &&
		    !memcmp(methods[i], request->method.at, request->method.length))
			break;
	if (i == sizeof(methods) / sizeof(methods[0]))
		return false;
	for (i = 0; i < target.length; i++)
		if (target.at[i] <= ' ' || target.at[i] > '~' || target.at[i] == '#')
			return false;
	if (is(line, "HTTP/1.0"))
		request->minor = 0;
	else if (is(line, "HTTP/1.1"))
		request->minor = 1;
	else
		return false;
	if (memcmp(line.at, "HTTP", 4))
		return false;
	request->path = target;
	if (is(target, "*"))
		return is(request->method, "OPTIONS");
	if (!target.length)
		return false;
	if (*target.at != '/') {
		if (!cut(&target, "://", &scheme) || !(is(scheme, "http") || is(scheme, "https")) ||
		    !cut(&target, "/", &request->host) || !is_host(request->host))
			return false;
		request->path = (struct plain_text){target.at - 1, target.length + 1};
	}
	return is_path(request->path);
}

/* Letters and digits as they are, anything else a hyphen. */
static bool imitates(struct plain_text name, const char *known)
{
	size_t i;

	if (name.length != strlen(known) || is(name, known))
		return false;
	for (i = 0; i < name.length; i++) {
		char byte = isalnum((unsigned char)name.at[i]) ? name.at[i] : '-';

		if (tolower((unsigned char)byte) != known[i])
			return false;
	}
	return true;
}

/* A list of tokens; @names counts those that are no option of ours. */
static bool read_connection(struct plain_text list, bool *close, bool *persist, size_t *names)
{
	struct plain_text option;
	size_t i;
	bool more;

	do {
		more = cut(&list, ",", &option);
		option = trim(more ? option : list);
		for (i = 0; i < option.length; i++)
			if (!is_token_byte(option.at[i]))
				return false;
		*close |= is(option, "close");
		*persist |= is(option, "keep-alive");
		*names += option.length && !is(option, "close") && !is(option, "keep-alive") &&
			  !is(option, "upgrade");
	} while (more);
	return *names <= 16;
}

struct seen {
	size_t hosts, lengths, codings, expectations, names;
	bool close, persist, bad_coding, bad_expectation;
};

static bool read_length(struct plain_request *request, struct plain_text value)
{
	char digits[20] = "";
	size_t i;

	for (i = 0; i < value.length; i++)
		if (!isdigit((unsigned char)value.at[i]))
			return false;
	if (!value.length || value.length > 19)
		return false;
	memcpy(digits, value.at, value.length);
	request->content_length = strtoull(digits, NULL, 10);
	request->has_length = true;
	return request->content_length <= INT64_MAX;
}

static bool read_field(struct plain_request *request, struct plain_text line, struct seen *seen)
{
	struct plain_text name, value;
	size_t i;

	if (!cut(&line, ":", &name) || !name.length)
		return false;
	for (i = 0; i < name.length; i++)
		if (!is_token_byte(name.at[i]))
			return false;
	for (i = 0; i < line.length; i++)
		if (iscntrl((unsigned char)line.at[i]) && line.at[i] != '\t')
			return false;
	for (i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
		if (imitates(name, guarded[i]))
			return false;
	value = trim(line);
	request->fields++;
	if (is(name, "host")) {
		seen->hosts++;
		if (!is_host(value))
			return false;
		if (request->host.length && (request->host.length != value.length ||
					     strncasecmp(request->host.at, value.at, value.length)))
			return false;
		request->host = value;
	} else if (is(name, "content-length")) {
		seen->lengths++;
		return read_length(request, value);
	} else if (is(name, "transfer-encoding")) {
		seen->codings++;
		request->chunked = true;
		return is(value, "chunked");
	} else if (is(name, "expect")) {
		seen->expectations++;
		seen->bad_expectation = !is(value, "100-continue");
	} else if (is(name, "connection")) {
		return read_connection(value, &seen->close, &seen->persist, &seen->names);
	}
	return true;
}

struct plain_request plain_read(const char *data, size_t length)
{
	struct plain_request request = {.taken = false};
	struct plain_text rest = {data, length}, line;
	struct seen seen = {0};

	if (length >= 2 && !memcmp(data, "\r\n", 2))
		rest = (struct plain_text){data + 2, length - 2};
	if (!cut(&rest, "\r\n", &line) || !read_line(&request, line))
		return request;
	for (;;) {
		if (!cut(&rest, "\r\n", &line))
			return request;
		if (!line.length)
			break;
		if (!read_field(&request, line, &seen))
			return request;
	}
	if (seen.hosts > 1 || (seen.hosts == 0 && request.minor == 1))
		return request;
	if (seen.lengths + seen.codings > 1 || (seen.codings && request.minor == 0))
		return request;
	if (request.minor == 1 && (seen.expectations > 1 || seen.bad_expectation))
		return request;
	request.keep_alive = !seen.close && (request.minor == 1 || seen.persist);
	request.length = (size_t)(rest.at - data);
	request.taken = true;
	return request;
}
