/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What attackers say: one row for each kind of attack.
 *
 * A connection says its verses in order: number 0 once, then 1, 2, 3, …, at the kind's pace. A
 * verse depends on nothing but its number, so one that a full socket cut short is made again, and
no connection needs a buffer of its own.
 */
#ifndef LAB_SPEECH_H
#define LAB_SPEECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire.h"

#define VERSE_MAX 16384

enum pace {
	ONCE,    /* the first verse, and then silence */
	BYTES,   /* a byte every --interval */
	VERSES,  /* a verse every --interval */
	ANSWERS, /* a verse for whatever comes */
	FLOOD,   /* as fast as they are taken */
};

enum leave {
	STAYS,
	LEAVES_AT_ONCE,  /* as soon as it may speak */
	LEAVES_ANSWERED, /* when something has come */
	LEAVES_DUE,      /* after --interval, whatever has come of it */
};

struct speech;

struct kind {
	const char *name;
	enum pace pace;
	const char *opening, *refrain; /* "%s" is the path; or instead: */
	size_t (*verse)(const struct speech *speech, uint64_t number, uint8_t *room);
	enum leave leaves;
	bool deaf; /* never reads */
	bool h2;   /* offers that by ALPN */
	enum wire_cover cover;
};

struct speech {
	const struct kind *kind;
	const char *path;
	struct wire_tls *tls;
	bool covered; /* by TLS */
	size_t hello_length, opening_length, refrain_length;
	uint8_t hello[VERSE_MAX], opening[VERSE_MAX], refrain[VERSE_MAX], scratch[VERSE_MAX];
};

extern const struct kind speech_kinds[];
extern const size_t speech_kinds_count;

/* False: there is no such kind, the path is too long, or there is no memory. @covered: by TLS,
 * whatever the kind.  */
bool speech_begin(struct speech *speech, const char *kind, const char *path, bool covered);
void speech_end(struct speech *speech);
enum wire_cover speech_cover(const struct speech *speech);
/* Verse @number, which lasts until the next call; its length, or 0: there is nothing more to say.
 */
size_t speech_verse(struct speech *speech, uint64_t number, const uint8_t **verse);

/* HTTP/2 (h2_verses.c). */
size_t verse_h2_idle(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_requests(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_rapid_reset(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_provoked_reset(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_continuation(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_settings(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_ping(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_empty(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_priority(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_bomb(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_bomb_large(const struct speech *speech, uint64_t number, uint8_t *room);
size_t verse_h2_drip(const struct speech *speech, uint64_t number, uint8_t *room);

#endif
