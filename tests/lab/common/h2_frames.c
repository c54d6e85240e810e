/* SPDX-License-Identifier: BSD-2-Clause */
/* See h2_frames.h. */
#include <arpa/inet.h>
#include <string.h>
#include "h2_frames.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HEADER  9 /* bytes of a frame */

/* The static table of RFC 7541, and what a byte begins with. */
enum {
	AUTHORITY = 1,
	METHOD_GET = 2,
	METHOD_POST = 3,
	PATH = 4,
	SCHEME_HTTPS = 7,
	INDEXED = 0x80,
	LITERAL = 0x00,
	LITERAL_KEPT = 0x40,
};

static void add(struct h2_text *text, const void *bytes, size_t length)
{
	if (!length || length > text->size - text->length)
		return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static void add_byte(struct h2_text *text, uint8_t byte)
{
	add(text, &byte, 1);
}

void h2_frame(struct h2_text *text, enum h2_type type, uint8_t flags, uint32_t stream,
	      const void *payload, size_t length)
{
	uint32_t id = htonl(stream);
	uint8_t header[HEADER] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
				  type, flags};

	if (HEADER + length > text->size - text->length)
		return;
	memcpy(header + 5, &id, 4);
	add(text, header, HEADER);
	add(text, payload, length);
}

void h2_number(struct h2_text *text, enum h2_type type, uint32_t stream, uint32_t number)
{
	uint32_t payload = htonl(number);

	h2_frame(text, type, 0, stream, &payload, sizeof(payload));
}

void h2_begin(struct h2_text *text, uint32_t initial_window)
{
	uint8_t setting[6] = {0, H2_INITIAL_WINDOW_SIZE};
	uint32_t value = htonl(initial_window);

	memcpy(setting + 2, &value, 4);
	add(text, PREFACE, strlen(PREFACE));
	h2_frame(text, H2_SETTINGS, 0, 0, setting, sizeof(setting));
	h2_frame(text, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

/* A length or an index, in a prefix of 7 bits (RFC 7541 section 5.1). */
static void add_integer(struct h2_text *block, size_t value)
{
	if (value < 127) {
		add_byte(block, (uint8_t)value);
		return;
	}
	add_byte(block, 127);
	for (value -= 127; value >= 128; value >>= 7)
		add_byte(block, (uint8_t)(value | 128));
	add_byte(block, (uint8_t)value);
}

static void add_string(struct h2_text *block, const char *string, size_t length)
{
	add_integer(block, length);
	add(block, string, length);
}

void h2_request(struct h2_text *block, bool post, const char *path)
{
	static const char authority[] = "web.test";

	add_byte(block, INDEXED | (post ? METHOD_POST : METHOD_GET));
	add_byte(block, INDEXED | SCHEME_HTTPS);
	add_byte(block, LITERAL | PATH);
	add_string(block, path, strlen(path));
	add_byte(block, LITERAL | AUTHORITY);
	add_string(block, authority, strlen(authority));
}

void h2_field(struct h2_text *block, const char *name, const char *value, size_t value_length)
{
	add_byte(block, LITERAL);
	add_string(block, name, strlen(name));
	add_string(block, value, value_length);
}

void h2_field_kept(struct h2_text *block, const char *name, const char *value, size_t value_length)
{
	add_byte(block, LITERAL_KEPT);
	add_string(block, name, strlen(name));
	add_string(block, value, value_length);
}

void h2_repeat(struct h2_text *block, uint8_t index, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_byte(block, INDEXED | index);
}

bool h2_read_goaway(struct h2_reader *reader, const uint8_t *bytes, size_t length)
{
	const uint8_t *end = bytes + length;
	bool found = false;

	while (bytes < end) {
		size_t left = (size_t)(end - bytes);

		if (reader->skip) {
			left = left < reader->skip ? left : reader->skip;
			reader->skip -= (uint32_t)left;
			bytes += left;
			continue;
		}
		reader->header[reader->have++] = *bytes++;
		if (reader->have < HEADER)
			continue;
		reader->have = 0;
		reader->skip = (uint32_t)reader->header[0] << 16 |
			       (uint32_t)reader->header[1] << 8 | reader->header[2];
		found |= reader->header[3] == H2_GOAWAY;
	}
	return found;
}
