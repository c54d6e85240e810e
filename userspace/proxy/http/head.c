/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Field lines (RFC 9112 section 5), and the fields that decide how a message ends.
 *
 * Syntax is judged byte by byte as it comes; meaning once, when the head is complete, and then only
 * of the few fields that mean something to a proxy.
 */
#include <string.h>
#include "proxy/http/head.h"
#include "proxy/http/scan.h"

void http_head_init(struct http_head *head)
{
	memset(head, 0, offsetof(struct http_head, option));
}

static inline uint8_t lower(char byte)
{
	return (uint8_t)byte >= 'A' && (uint8_t)byte <= 'Z' ? (uint8_t)byte | 0x20 : (uint8_t)byte;
}

bool http_slice_equal(struct http_slice a, struct http_slice b)
{
	uint32_t i;

	if (a.length != b.length)
		return false;
	for (i = 0; i < a.length; i++)
		if (lower(a.at[i]) != lower(b.at[i]))
			return false;
	return true;
}

bool http_slice_is(struct http_slice slice, const char *text)
{
	return http_slice_equal(slice, (struct http_slice){text, (uint32_t)strlen(text)});
}

const struct http_field *http_field_find(const struct http_head *head, const char *data,
					 const char *name)
{
	uint32_t i;

	for (i = 0; i < head->count; i++)
		if (http_slice_is(http_slice(data, head->field[i].name), name))
			return &head->field[i];
	return NULL;
}

static bool is_alphanumeric(char byte)
{
	uint8_t letter = (uint8_t)byte | 0x20;

	return (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9');
}

/*
 * Compares a field name with @known, which is in lower case and as long. −1: only a server that
 * takes another mark for '-' would read it as @known, as CGI's variables do with '_', and some
 * servers that make those with whatever is no letter or digit. Names are tokens: the one other byte
 * that bit 5 turns into a letter of ours or '-' is CR, which is no tchar.
 */
static int name_compare(const char *name, const char *known, uint32_t length)
{
	int same = 1;
	uint32_t i;

	for (i = 0; i < length; i++) {
		if ((name[i] | 0x20) == known[i])
			continue;
		if (known[i] != '-' || is_alphanumeric(name[i]))
			return 0;
		same = -1;
	}
	return same;
}

/* Kind of a field by its name; −1: a name that only looks like one of ours to some servers. */
static int name_kind(const char *name, uint32_t length)
{
	const char *known;
	enum http_kind kind;
	uint8_t initial = lower(name[0]);
	int same;

	if (initial == 'p' && length >= 5 && name_compare(name, "proxy", 5) &&
	    (length == 5 || !is_alphanumeric(name[5])))
		return HTTP_HOP;
	if (initial == 'x' && length > 14 && name_compare(name, "x-client-cert-", 14))
		return HTTP_X_CLIENT_CERT;

	/* Length and first letter leave one candidate. */
	switch (length) {
	case 2:
		known = "te", kind = HTTP_HOP;
		break;
	case 4:
		known = "host", kind = HTTP_HOST;
		break;
	case 6:
		if (initial == 'c')
			known = "cookie", kind = HTTP_COOKIE;
		else
			known = "expect", kind = HTTP_EXPECT;
		break;
	case 7:
		if (initial == 't')
			known = "trailer", kind = HTTP_HOP;
		else
			known = "upgrade", kind = HTTP_UPGRADE;
		break;
	case 9:
		known = "forwarded", kind = HTTP_FORWARDED;
		break;
	case 10:
		if (initial == 'k')
			known = "keep-alive", kind = HTTP_HOP;
		else if (initial == 't')
			known = "tracestate", kind = HTTP_TRACESTATE;
		else
			known = "connection", kind = HTTP_CONNECTION;
		break;
	case 11:
		known = "traceparent", kind = HTTP_TRACEPARENT;
		break;
	case 12:
		known = "x-request-id", kind = HTTP_X_REQUEST_ID;
		break;
	case 14:
		known = "content-length", kind = HTTP_CONTENT_LENGTH;
		break;
	case 15:
		known = "x-forwarded-for", kind = HTTP_X_FORWARDED_FOR;
		break;
	case 16:
		known = "x-forwarded-host", kind = HTTP_X_FORWARDED_HOST;
		break;
	case 17:
		if (initial == 'x')
			known = "x-forwarded-proto", kind = HTTP_X_FORWARDED_PROTO;
		else
			known = "transfer-encoding", kind = HTTP_TRANSFER_ENCODING;
		break;
	default:
		return HTTP_OTHER;
	}
	if (initial != known[0])
		return HTTP_OTHER;
	same = name_compare(name, known, length);
	if (same && kind == HTTP_X_REQUEST_ID)
		return kind; /* no harm in it: it goes where the other one does */
	return same == 1 ? (int)kind : same == 0 ? (int)HTTP_OTHER : -1;
}

/* Enters the field whose line is complete. */
static bool field_enter(struct http_head *head, const char *data)
{
	struct http_field *field = &head->field[head->count];
	int kind = name_kind(data + field->name.at, field->name.length);

	if (kind < 0)
		return false;
	field->kind = (uint16_t)kind;
	head->count++;
	if (head->first[kind])
		head->repeated |= HTTP_KIND(kind);
	else
		head->first[kind] = head->count;
	return true;
}

/* Where in a field line the parser is. */
enum part { PART_LINE, PART_NAME, PART_SPACE, PART_VALUE, PART_LF, PART_END };

/* Whether the line that is being read is over @length bytes already, those up to @at. */
static inline bool line_exceeds(const struct http_head *head, const char *data, const char *at,
				uint32_t length)
{
	return (uint32_t)(at - data) - head->field[head->count].name.at > length;
}

int http_head_parse_fields(struct http_head *head, const char *data, uint32_t end, uint32_t fields,
			   uint32_t length)
{
	const char *at = data + head->scanned, *stop = data + end, *start = data + head->start;
	const char *last;
	enum part part = head->part;

	for (;;) {
		switch (part) {
		case PART_LINE:
			if (at == stop)
				goto more;
			if (*at == '\r') {
				head->fields_end = (uint16_t)(at - data);
				at++;
				part = PART_END;
				continue;
			}
			if (head->count == fields)
				return -FW_TOO_MANY_FIELDS;
			start = at;
			/* fallthrough */
		case PART_NAME:
			part = PART_NAME;
			at = http_scan_token(at, stop);
			head->field[head->count].name = http_span(data, start, at);
			if (at == stop)
				goto more;
			if (*at != ':' || at == start)
				goto bad; /* folding and space before the colon too */
			at++;
			/* fallthrough */
		case PART_SPACE:
			part = PART_SPACE;
			while (at < stop && (*at == ' ' || *at == '\t'))
				at++;
			if (at == stop)
				goto more;
			start = at;
			/* fallthrough */
		case PART_VALUE:
			part = PART_VALUE;
			at = http_scan_value(at, stop);
			if (at == stop)
				goto more;
			if (*at != '\r' || line_exceeds(head, data, at, length))
				goto bad;
			for (last = at; last > start && (last[-1] == ' ' || last[-1] == '\t');)
				last--;
			head->field[head->count].value = http_span(data, start, last);
			at++;
			/* fallthrough */
		case PART_LF:
			part = PART_LF;
			if (at == stop)
				goto more;
			if (*at != '\n' || !field_enter(head, data))
				return -FW_BAD_FIELD;
			at++;
			part = PART_LINE;
			continue;
		case PART_END:
			if (at == stop)
				goto more;
			if (*at != '\n')
				return -FW_BAD_FIELD;
			head->scanned = (uint32_t)(at + 1 - data);
			return HTTP_STEP_DONE;
		}
	}
more:
	if (part >= PART_NAME && part <= PART_VALUE && line_exceeds(head, data, at, length))
		return -FW_FIELD_TOO_LARGE;
	head->part = part;
	head->scanned = (uint32_t)(at - data);
	head->start = (uint16_t)(start - data);
	return HTTP_STEP_MORE;
bad:
	return line_exceeds(head, data, at, length) ? -FW_FIELD_TOO_LARGE : -FW_BAD_FIELD;
}

uint32_t http_head_count_cookies(const struct http_head *head, const char *data, uint32_t most)
{
	uint32_t i = head->first[HTTP_COOKIE], count = 0;
	const char *at, *end;

	for (i = i ? i - 1 : head->count; i < head->count; i++) {
		if (head->field[i].kind != HTTP_COOKIE)
			continue;
		at = data + head->field[i].value.at;
		end = at + head->field[i].value.length;
		do {
			if (++count > most)
				return count;
			at = memchr(at, ';', (size_t)(end - at));
		} while (at && ++at < end);
	}
	return count;
}

bool http_name_passes_for(struct http_slice name, struct http_slice known)
{
	if (name.length != known.length)
		return false;
	for (uint32_t i = 0; i < name.length; i++)
		if (lower(name.at[i]) != lower(known.at[i]) &&
		    (known.at[i] != '-' || is_alphanumeric(name.at[i])))
			return false;
	return true;
}

void http_head_drop(struct http_head *head, const char *data, const struct http_slice *names,
		    size_t count)
{
	for (uint32_t i = 0; i < head->count; i++)
		for (size_t j = 0; j < count; j++)
			if (http_name_passes_for(http_slice(data, head->field[i].name), names[j]))
				head->field[i].kind = HTTP_HOP;
}

/* Makes HTTP_HOP of every field that an option of Connection names. Fields that are written anew
 * keep their kind: nobody may talk us out of Host, framing, or who the client is. */
static void mark_options(struct http_head *head, const char *data)
{
	uint32_t i, j;

	for (i = 0; i < head->option_count; i++)
		for (j = 0; j < head->count; j++)
			if ((head->field[j].kind == HTTP_OTHER ||
			     head->field[j].kind == HTTP_COOKIE) &&
			    http_slice_equal(http_slice(data, head->option[i]),
					     http_slice(data, head->field[j].name)))
				head->field[j].kind = HTTP_HOP;
}

/* One value of Connection: a list of tokens, empty elements allowed (RFC 9110 section 5.6.1). */
static bool connection_parse(struct http_head *head, const char *data, struct http_span value)
{
	const char *at = data + value.at, *end = at + value.length, *start;
	struct http_slice option;

	while (at < end) {
		if (*at == ',' || *at == ' ' || *at == '\t') {
			at++;
			continue;
		}
		start = at;
		at = http_scan_token(at, end);
		option = (struct http_slice){start, (uint32_t)(at - start)};
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if (!option.length || (at < end && *at != ','))
			return false;
		if (http_slice_is(option, "close"))
			head->close = true;
		else if (http_slice_is(option, "keep-alive"))
			head->persist = true;
		else if (http_slice_is(option, "upgrade"))
			head->upgrade = true;
		else if (head->option_count == HTTP_OPTIONS_MAX)
			return false;
		else
			head->option[head->option_count++] =
				http_span(data, option.at, option.at + option.length);
	}
	return true;
}

enum fw_verdict http_head_judge_connection(struct http_head *head, const char *data)
{
	uint32_t i = head->first[HTTP_CONNECTION];

	if (i)
		for (i--; i < head->count; i++)
			if (head->field[i].kind == HTTP_CONNECTION &&
			    !connection_parse(head, data, head->field[i].value))
				return FW_BAD_FIELD;
	if (head->option_count)
		mark_options(head, data);
	head->keep_alive = !head->close && (head->minor == 1 || head->persist);
	return FW_NONE;
}

/* 1*DIGIT, below 2^63. */
static bool length_parse(struct http_slice text, uint64_t *value)
{
	uint64_t sum = 0;
	uint32_t i;

	if (!text.length || text.length > 19)
		return false;
	for (i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(text.at[i] - '0'); /* 19 digits fit 64 bits */
	}
	*value = sum;
	return sum <= INT64_MAX;
}

enum fw_verdict http_head_judge_framing(struct http_head *head, const char *data)
{
	const struct http_field *length = http_head_first(head, HTTP_CONTENT_LENGTH);
	const struct http_field *coding = http_head_first(head, HTTP_TRANSFER_ENCODING);

	head->framing = HTTP_NO_BODY;
	if (http_head_repeats(head, HTTP_CONTENT_LENGTH) ||
	    http_head_repeats(head, HTTP_TRANSFER_ENCODING) || (length && coding) ||
	    (coding && head->minor == 0))
		return FW_BAD_FRAMING;
	if (coding) {
		if (!http_slice_is(http_slice(data, coding->value), "chunked"))
			return FW_CODING_UNSUPPORTED;
		head->framing = HTTP_CHUNKED;
	}
	if (length) {
		if (!length_parse(http_slice(data, length->value), &head->content_length))
			return FW_BAD_FRAMING;
		head->has_content_length = true;
		head->framing = head->content_length ? HTTP_LENGTH : HTTP_NO_BODY;
	}
	return FW_NONE;
}
