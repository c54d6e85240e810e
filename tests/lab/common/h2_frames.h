/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2 frames, written by hand (RFC 9113, RFC 7541): no library would send what attackers do.
 *
 * Nothing is checked but room: a frame that does not fit is left out.
 */
#ifndef LAB_H2_FRAMES_H
#define LAB_H2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h2_type {
	H2_DATA,
	H2_HEADERS,
	H2_PRIORITY,
	H2_RST_STREAM,
	H2_SETTINGS,
	H2_PUSH_PROMISE,
	H2_PING,
	H2_GOAWAY,
	H2_WINDOW_UPDATE,
	H2_CONTINUATION,
};

#define H2_ACK         0x1
#define H2_END_STREAM  0x1
#define H2_END_HEADERS 0x4

#define H2_INITIAL_WINDOW_SIZE 4 /* a setting */
#define H2_CANCEL              8 /* an error code */

struct h2_text {
	uint8_t *bytes;
	size_t length, size;
};

/* The client's preface, a SETTINGS with this initial window, and the ACK of the server's. */
void h2_begin(struct h2_text *text, uint32_t initial_window);
void h2_frame(struct h2_text *text, enum h2_type type, uint8_t flags, uint32_t stream,
	      const void *payload, size_t length);
/* A frame whose payload is one number of 32 bits: RST_STREAM, WINDOW_UPDATE. */
void h2_number(struct h2_text *text, enum h2_type type, uint32_t stream, uint32_t number);

/*
 * Header block fragments, for the payload of HEADERS and CONTINUATION. A field's name and value are
 * shorter than 127 bytes, or (value alone) than 16,000; h2_field_kept() puts it into the dynamic
 * table, where the one that was put there last is H2_NEWEST.
 */
#define H2_NEWEST 62
void h2_request(struct h2_text *block, bool post, const char *path);
void h2_field(struct h2_text *block, const char *name, const char *value, size_t value_length);
void h2_field_kept(struct h2_text *block, const char *name, const char *value, size_t value_length);
/* The field at @index (below 127) of the tables, @count times. */
void h2_repeat(struct h2_text *block, uint8_t index, size_t count);

/* Follows the frames that a server sends, from the first byte on. */
struct h2_reader {
	uint8_t header[9];
	uint32_t have, skip; /* bytes of the header that are there; of the payload that are not */
};

/* Whether a GOAWAY has begun in these bytes. */
bool h2_read_goaway(struct h2_reader *reader, const uint8_t *bytes, size_t length);

#endif
