/* SPDX-License-Identifier: BSD-2-Clause */
/* See speech.h. */
#include <stdio.h>
#include <string.h>
#include "speech.h"

#define GET   "GET %s HTTP/1.1\r\nHost: web.test\r\n"
#define POST  "POST %s HTTP/1.1\r\nHost: web.test\r\n"
#define CHUNK POST "Transfer-Encoding: chunked\r\n\r\n"
#define WHOLE GET "\r\n"

/* A ClientHello that was made once: only the server does sums. */
static size_t verse_hello(const struct speech *speech, uint64_t number, uint8_t *room)
{
	memcpy(room, speech->hello, speech->hello_length);
	return number ? 0 : speech->hello_length;
}

static size_t verse_half_hello(const struct speech *speech, uint64_t number, uint8_t *room)
{
	return verse_hello(speech, number, room) / 2;
}

const struct kind speech_kinds[] = {
	/* Those who hold connections. */
	{"hold", ONCE, .opening = ""},
	{"hold-request", ONCE, .opening = "GET %s HTTP/1.1\r\n"},
	{"hold-anew", ONCE, .opening = "GET %s HTTP/1.1\r\n", .leaves = LEAVES_DUE},
	{"idle", ONCE, .opening = WHOLE},
	{"slow-header", BYTES, .opening = GET, .refrain = "X-Filler: filler\r\n"},
	{"slow-body", BYTES, .opening = POST "Content-Length: 1000000\r\n\r\n", .refrain = "x"},
	{"slow-read", ONCE, .opening = WHOLE, .deaf = true},
	/* Those who ask for too much. */
	{"churn", ONCE, .opening = "", .leaves = LEAVES_AT_ONCE},
	{"requests", ANSWERS, .opening = WHOLE, .refrain = WHOLE},
	{"pipeline", FLOOD, .opening = WHOLE, .refrain = WHOLE},
	/* What is too large: it never ends. */
	{"big-target", FLOOD, .opening = "GET /", .refrain = "a"},
	{"big-field", FLOOD, .opening = GET "X-Big: ", .refrain = "a"},
	{"many-fields", FLOOD, .opening = GET, .refrain = "X-Filler: filler\r\n"},
	{"many-cookies", FLOOD, .opening = GET "Cookie: a=b", .refrain = "; a=b"},
	{"chunk-extension", FLOOD, .opening = CHUNK "1", .refrain = ";name=value"},
	{"tiny-chunks", FLOOD, .opening = CHUNK, .refrain = "1\r\nx\r\n"},
	{"big-body", FLOOD, .opening = POST "Content-Length: 1000000000000\r\n\r\n",
	 .refrain = "x"},
	/* Handshakes of TLS. */
	{"tls-half-hello", ONCE, .verse = verse_half_hello},
	{"tls-hello", ONCE, .verse = verse_hello},
	{"tls-unfinished", ONCE, .opening = "", .cover = WIRE_TLS_UNFINISHED},
	{"tls-handshakes", ONCE, .opening = "", .cover = WIRE_TLS, .leaves = LEAVES_AT_ONCE},
	{"tls-abort", ONCE, .verse = verse_hello, .leaves = LEAVES_ANSWERED},
	/* HTTP/2. */
	{"h2-idle", ONCE, .verse = verse_h2_idle, .h2 = true},
	{"h2-requests", FLOOD, .verse = verse_h2_requests, .h2 = true},
	{"h2-rapid-reset", FLOOD, .verse = verse_h2_rapid_reset, .h2 = true},
	{"h2-provoked-reset", FLOOD, .verse = verse_h2_provoked_reset, .h2 = true},
	{"h2-continuation", FLOOD, .verse = verse_h2_continuation, .h2 = true},
	{"h2-settings", FLOOD, .verse = verse_h2_settings, .h2 = true},
	{"h2-ping", FLOOD, .verse = verse_h2_ping, .h2 = true, .deaf = true},
	{"h2-empty", FLOOD, .verse = verse_h2_empty, .h2 = true},
	{"h2-priority", FLOOD, .verse = verse_h2_priority, .h2 = true},
	{"h2-bomb", FLOOD, .verse = verse_h2_bomb, .h2 = true},
	{"h2-bomb-large", FLOOD, .verse = verse_h2_bomb_large, .h2 = true},
	{"h2-drip", VERSES, .verse = verse_h2_drip, .h2 = true},
};
const size_t speech_kinds_count = sizeof(speech_kinds) / sizeof(speech_kinds[0]);

/* @pattern with the path in it. False: too long. */
static bool compose(const char *pattern, const char *path, uint8_t *room, size_t *length)
{
	const char *gap = strstr(pattern, "%s");
	int count = snprintf((char *)room, VERSE_MAX, "%.*s%s%s",
			     (int)(gap ? gap - pattern : (long)strlen(pattern)), pattern,
			     gap ? path : "", gap ? gap + 2 : "");

	*length = (size_t)count;
	return count >= 0 && count < VERSE_MAX;
}

bool speech_begin(struct speech *speech, const char *name, const char *path, bool covered)
{
	memset(speech, 0, sizeof(*speech));
	speech->path = path;
	for (size_t i = 0; i < speech_kinds_count; i++)
		if (!strcmp(speech_kinds[i].name, name))
			speech->kind = &speech_kinds[i];
	if (!speech->kind || strlen(path) > 100)
		return false;
	if (!compose(speech->kind->opening ?: "", path, speech->opening, &speech->opening_length) ||
	    !compose(speech->kind->refrain ?: "", path, speech->refrain, &speech->refrain_length))
		return false;
	/* The same refrain over and over is one verse, in as few system calls as can be. */
	for (size_t one = speech->refrain_length;
	     one && speech->kind->pace == FLOOD && speech->refrain_length + one <= VERSE_MAX;
	     speech->refrain_length += one)
		memcpy(speech->refrain + speech->refrain_length, speech->refrain, one);
	speech->tls = wire_tls_new(speech->kind->h2 ? "h2" : "http/1.1");
	if (!speech->tls)
		return false;
	speech->hello_length = wire_tls_hello(speech->tls, speech->hello, VERSE_MAX);
	speech->covered = covered;
	return speech->hello_length;
}

void speech_end(struct speech *speech)
{
	wire_tls_free(speech->tls);
}

enum wire_cover speech_cover(const struct speech *speech)
{
	if (speech->kind->cover != WIRE_PLAIN)
		return speech->kind->cover;
	return speech->covered ? WIRE_TLS : WIRE_PLAIN;
}

size_t speech_verse(struct speech *speech, uint64_t number, const uint8_t **verse)
{
	if (speech->kind->verse) {
		*verse = speech->scratch;
		return speech->kind->verse(speech, number, speech->scratch);
	}
	*verse = number ? speech->refrain : speech->opening;
	return number ? speech->refrain_length : speech->opening_length;
}
