/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's head: request line (RFC 9112 section 3), fields, and what they mean together.
 */
#include <string.h>
#include "proxy/http/head.h"
#include "proxy/http/scan.h"

#define LITERAL(text)                                                                              \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static const struct http_slice methods[HTTP_METHOD_COUNT] = {
#define HTTP_METHOD(id, token, content) [HTTP_##id] = LITERAL(token),
#include "contract/methods.def"
#undef HTTP_METHOD
};

/* Whether its content means something to the method (RFC 9110 section 9.3). */
static const bool has_use_for_content[HTTP_METHOD_COUNT] = {
#define BARE                            false
#define CONTENT                         true
#define HTTP_METHOD(id, token, content) [HTTP_##id] = content,
#include "contract/methods.def"
#undef HTTP_METHOD
};

enum { VERB_MAX = 24 }; /* longer than any registered method */

struct http_slice http_method_token(enum http_method method)
{
	return methods[method];
}

void http_request_init(struct http_request *request)
{
	memset(request, 0, offsetof(struct http_request, head));
	http_head_init(&request->head);
}

/* One empty line before the request is some clients' idea of ending the one before (RFC 9112
 * section 2.2). */
static int step_empty_line(struct http_request *request, const char *data, uint32_t end,
			   const struct http_limits *limits)
{
	struct http_head *head = &request->head;

	(void)limits;
	if (end == 0)
		return HTTP_STEP_MORE;
	if (data[0] == '\r') {
		if (end == 1)
			return HTTP_STEP_MORE;
		if (data[1] != '\n')
			return -FW_BAD_REQUEST_LINE;
		head->scanned = 2;
	}
	head->start = (uint16_t)head->scanned;
	return HTTP_STEP_DONE;
}

static enum http_method method_find(const char *verb, uint32_t length)
{
	enum http_method method;

	for (method = HTTP_NO_METHOD + 1; method < HTTP_METHOD_COUNT; method++)
		if (methods[method].length == length && !memcmp(methods[method].at, verb, length))
			return method;
	return HTTP_NO_METHOD;
}

static int step_method(struct http_request *request, const char *data, uint32_t end,
		       const struct http_limits *limits)
{
	struct http_head *head = &request->head;
	const char *start = data + head->start, *stop = data + end;
	const char *at = http_scan_table(data + head->scanned, stop, HTTP_BYTE_TOKEN);

	(void)limits;
	head->scanned = (uint32_t)(at - data);
	if (at - start > VERB_MAX)
		return -FW_METHOD_UNSUPPORTED;
	if (at == stop)
		return HTTP_STEP_MORE;
	if (*at != ' ' || at == start)
		return -FW_BAD_REQUEST_LINE;
	request->verb = http_span(data, start, at);
	request->method = method_find(start, request->verb.length);
	if (request->method == HTTP_NO_METHOD)
		return -FW_METHOD_UNSUPPORTED;
	head->scanned++;
	head->start = (uint16_t)head->scanned;
	return HTTP_STEP_DONE;
}

/* http://host/… (RFC 9112 section 3.2.2). It must have a path: "http://host?x" is refused. */
static bool absolute_form(struct http_request *request, const char *data)
{
	struct http_slice target = http_slice(data, request->target), host;
	const char *end = target.at + target.length, *path;
	uint32_t scheme = 0;

	if (target.length > 7 && http_slice_is((struct http_slice){target.at, 7}, "http://"))
		scheme = 7;
	else if (target.length > 8 && http_slice_is((struct http_slice){target.at, 8}, "https://"))
		scheme = 8;
	if (!scheme)
		return false;
	host.at = target.at + scheme;
	path = memchr(host.at, '/', target.length - scheme);
	if (!path)
		return false;
	host.length = (uint32_t)(path - host.at);
	request->host = http_span(data, host.at, path);
	request->path = http_span(data, path, end);
	return http_host_valid(host);
}

static int step_target(struct http_request *request, const char *data, uint32_t end,
		       const struct http_limits *limits)
{
	struct http_head *head = &request->head;
	const char *start = data + head->start, *stop = data + end;
	const char *at = http_scan_target(data + head->scanned, stop);
	bool valid = true;
	struct http_slice path;

	head->scanned = (uint32_t)(at - data);
	if (start < stop && *start != '/' && *start != 'h' && *start != 'H' &&
	    !(*start == '*' && request->method == HTTP_OPTIONS))
		return -FW_BAD_REQUEST_LINE;
	if (at - start > limits->target)
		return -FW_TARGET_TOO_LONG;
	if (at == stop)
		return HTTP_STEP_MORE;
	if (*at != ' ')
		return -FW_BAD_REQUEST_LINE;
	request->target = request->path = http_span(data, start, at);
	if (*start == '*')
		valid = request->target.length == 1;
	else if (*start != '/')
		valid = absolute_form(request, data);
	if (!valid)
		return -FW_BAD_REQUEST_LINE;
	path = http_slice(data, request->path);
	if (*path.at == '/' && !http_path_valid(path))
		return -FW_BAD_TARGET;
	head->scanned++;
	head->start = (uint16_t)head->scanned;
	return HTTP_STEP_DONE;
}

/* "HTTP/1.1" CRLF. Ten bytes at most: looking at them again costs less than remembering. */
static int step_version(struct http_request *request, const char *data, uint32_t end,
			const struct http_limits *limits)
{
	static const char shape[] = "HTTP/1.x\r\n";
	struct http_head *head = &request->head;
	const char *at = data + head->start;
	uint32_t i, length = end - head->start;

	(void)limits;
	if (length >= 10 && !memcmp(at, "HTTP/1.1\r\n", 10)) {
		head->minor = 1;
		head->scanned = head->start + 10;
		return HTTP_STEP_DONE;
	}
	for (i = 0; i < sizeof(shape) - 1; i++) {
		if (i == length)
			return HTTP_STEP_MORE;
		if (i == 7 ? at[i] == '0' || at[i] == '1' : at[i] == shape[i])
			continue;
		if ((i == 5 || i == 7) && at[i] >= '0' && at[i] <= '9')
			return -FW_VERSION_UNSUPPORTED;
		return -FW_BAD_REQUEST_LINE;
	}
	head->minor = at[7] == '1';
	head->scanned = head->start + i;
	return HTTP_STEP_DONE;
}

static int step_fields(struct http_request *request, const char *data, uint32_t end,
		       const struct http_limits *limits)
{
	uint32_t fields = limits->fields < HTTP_FIELDS_MAX ? limits->fields : HTTP_FIELDS_MAX;
	uint32_t length = limits->field ? limits->field : HTTP_HEAD_MAX;

	return http_head_parse_fields(&request->head, data, end, fields, length);
}

/* Exactly one, or none in HTTP/1.0; equal to the target's host if that has one. */
static enum fw_verdict judge_host(struct http_request *request, const char *data)
{
	const struct http_field *field = http_head_first(&request->head, HTTP_HOST);

	if (!field)
		return request->head.minor == 0 ? FW_NONE : FW_BAD_HOST;
	if (http_head_repeats(&request->head, HTTP_HOST) ||
	    !http_host_valid(http_slice(data, field->value)))
		return FW_BAD_HOST;
	if (request->host.length &&
	    !http_slice_equal(http_slice(data, request->host), http_slice(data, field->value)))
		return FW_BAD_HOST;
	request->host = field->value;
	return FW_NONE;
}

/* 100-continue is all there is (RFC 9110 section 10.1.1); HTTP/1.0 can't have meant it. */
static enum fw_verdict judge_expectation(struct http_request *request, const char *data)
{
	const struct http_field *field = http_head_first(&request->head, HTTP_EXPECT);

	if (!field || request->head.minor == 0)
		return FW_NONE;
	if (http_head_repeats(&request->head, HTTP_EXPECT) ||
	    !http_slice_is(http_slice(data, field->value), "100-continue"))
		return FW_BAD_EXPECTATION;
	request->expect_continue = request->head.framing != HTTP_NO_BODY;
	return FW_NONE;
}

/*
 * An upgrade is forwarded if it is one protocol, asked for without a body, and not another way to
 * speak HTTP or TLS: with "h2c" a client could talk past every rule of ours to a server that takes
 * it. Any other request for an upgrade may be ignored (RFC 9110 section 7.8), and is.
 */
static void judge_upgrade(struct http_request *request, const char *data)
{
	const struct http_head *head = &request->head;
	const struct http_field *field = http_head_first(head, HTTP_UPGRADE);
	const char *at, *end, *version;
	struct http_slice name;

	if (!field || !head->upgrade || head->minor == 0 || head->framing != HTTP_NO_BODY ||
	    http_head_repeats(head, HTTP_UPGRADE))
		return;
	at = data + field->value.at;
	end = at + field->value.length;
	version = http_scan_table(at, end, HTTP_BYTE_TOKEN);
	name = (struct http_slice){at, (uint32_t)(version - at)};
	if (version < end && *version == '/' && version + 1 < end)
		version = http_scan_table(version + 1, end, HTTP_BYTE_TOKEN);
	if (version != end || !name.length || http_slice_is(name, "h2c") ||
	    http_slice_is(name, "h2") || http_slice_is(name, "http") || http_slice_is(name, "tls"))
		return;
	request->upgrade = true;
	request->protocol = field->value;
}

/* What the fields mean together, once they are all there. */
static enum fw_verdict judge(struct http_request *request, const char *data,
			     const struct http_limits *limits)
{
	struct http_head *head = &request->head;
	enum fw_verdict verdict;

	verdict = http_head_judge_framing(head, data);
	if (!verdict)
		verdict = http_head_judge_connection(head, data);
	if (!verdict)
		verdict = judge_host(request, data);
	if (!verdict)
		verdict = judge_expectation(request, data);
	if (!verdict && limits->body && head->content_length > limits->body)
		verdict = FW_BODY_TOO_LARGE;
	if (!verdict && limits->cookies &&
	    http_head_count_cookies(head, data, limits->cookies) > limits->cookies)
		verdict = FW_TOO_MANY_COOKIES;
	request->odd_body = head->framing != HTTP_NO_BODY && !has_use_for_content[request->method];
	if (!verdict)
		judge_upgrade(request, data);
	return verdict;
}

int http_request_parse(struct http_request *request, const char *data, size_t length,
		       const struct http_limits *limits)
{
	static int (*const steps[])(struct http_request *, const char *, uint32_t,
				    const struct http_limits *) = {
		step_empty_line, step_method, step_target, step_version, step_fields,
	};
	struct http_head *head = &request->head;
	uint32_t most = limits->header < HTTP_HEAD_MAX ? limits->header : HTTP_HEAD_MAX;
	uint32_t end = length < most ? (uint32_t)length : most;
	enum fw_verdict verdict;
	int result;

	for (; head->state < sizeof(steps) / sizeof(steps[0]); head->state++) {
		result = steps[head->state](request, data, end, limits);
		if (result == HTTP_STEP_MORE)
			return end == most ? -FW_HEADER_TOO_LARGE : 0;
		if (result < 0)
			return result;
	}
	verdict = judge(request, data, limits);
	return verdict ? -(int)verdict : (int)head->scanned;
}
