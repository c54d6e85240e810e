/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secrets of SYN cookies. The slots are a ring: a new secret is written to the one after the
 * current one, which is the oldest, and then becomes current with one store; those before are
 * accepted for as long as their cookies may come back.
 *
 * A secret that is shared with other hosts has the wall clock's minutes, and a cookie may come back
 * at any time, since any of them may have sent it. What else hosts must agree on (window scale,
 * offers) is covered by the cookie itself, and shows in the fingerprint.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include "base/clock.h"
#include "contract/secret_file.h"
#include "wall/policy/offers.h"
#include "wall/policy/secrets.h"

#define COOKIE_LIFE_NS 120000000000ULL /* as in bpf/cookie.h */
#define SKEW_MS        5000
#define STEP_NS        (10 * (int64_t)CLOCK_MS) /* less than that is no step of the clock */
#define ANY_TIME       (~0ULL)

static int64_t wall_clock_ahead(void)
{
	return (int64_t)(clock_read_ns(CLOCK_REALTIME) - clock_now_ns());
}

static int read_slot(struct wall *wall, uint32_t slot, struct fw_secret *secret,
		     struct error *error)
{
	return wall_map_lookup(wall, MAP_SECRETS, &slot, secret, error);
}

static int write_slot(struct wall *wall, uint32_t slot, const struct fw_secret *secret,
		      struct error *error)
{
	return wall_map_update(wall, MAP_SECRETS, &slot, secret, error);
}

static uint32_t current_slot(struct wall *wall)
{
	return wall->meta->secret % FW_SECRETS;
}

static int draw_key(uint64_t key[2], struct error *error)
{
	if (getrandom(key, 2 * sizeof(key[0]), 0) == 2 * sizeof(key[0]))
		return 0;
	return error_set(error, -EIO, "the kernel gives no random numbers");
}

/* From when on a cookie may come back: of a secret that others have too, always. One word, so that
 * the filter's own writes to the row are not undone. */
static int expect_cookies(struct wall *wall, bool shared, struct error *error)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);
	__u64 *until;

	if (!meta)
		return -EIO;
	until = &meta->cookies_ns;
	if (shared)
		__atomic_store_n(until, ANY_TIME, __ATOMIC_RELAXED);
	else if (__atomic_load_n(until, __ATOMIC_RELAXED) == ANY_TIME)
		__atomic_store_n(until, clock_now_ns() + COOKIE_LIFE_NS, __ATOMIC_RELAXED);
	munmap(meta, wall->maps[MAP_META].size);
	return 0;
}

/* What every other slot's secret is accepted for: the longest, and the one that is to go next. */
static int read_others(struct wall *wall, size_t *accepted, uint64_t *next_until_ns,
		       struct error *error)
{
	uint32_t current = current_slot(wall);
	uint64_t now = clock_now_ns();
	struct fw_secret secret;
	int result = 0;

	*accepted = 0;
	*next_until_ns = 0;
	for (uint32_t i = 1; i < FW_SECRETS && result == 0; i++) {
		result = read_slot(wall, (current + i) % FW_SECRETS, &secret, error);
		if (result < 0 || secret.until_ns <= now)
			continue;
		if (i == 1)
			*next_until_ns = secret.until_ns;
		++*accepted;
	}
	return result;
}

/* Puts @new in force. The old one's term is written first: at no moment is it not accepted. */
static int renew(struct wall *wall, struct fw_secret *old, const struct fw_secret *new,
		 struct error *error)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);
	uint32_t before = current_slot(wall), slot = (before + 1) % FW_SECRETS;
	int result = meta ? write_slot(wall, slot, new, error) : -EIO;

	if (result == 0 && old->made_ns) {
		old->until_ns = clock_now_ns() + COOKIE_LIFE_NS;
		result = write_slot(wall, before, old, error);
	}
	if (result == 0)
		__atomic_store_n(&meta->secret, slot, __ATOMIC_SEQ_CST);
	if (meta)
		munmap(meta, wall->maps[MAP_META].size);
	return result;
}

/* Takes over what the wall clock says; 1: it had been set. One word differs, and is written as one.
 */
static int set_clock(struct wall *wall, uint32_t slot, struct fw_secret *secret,
		     struct error *error)
{
	int64_t ahead = wall_clock_ahead(), step = ahead - secret->clock_ns;
	int result;

	if (!secret->skew_ms || (step < STEP_NS && step > -STEP_NS))
		return 0;
	secret->clock_ns = ahead;
	result = write_slot(wall, slot, secret, error);
	return result < 0 ? result : 1;
}

/* Whether cookies of the one are good under the other. */
static bool is_same(const struct fw_secret *a, const struct fw_secret *b)
{
	return a->key[0] == b->key[0] && a->key[1] == b->key[1] &&
	       a->window_scale == b->window_scale && a->offers == b->offers &&
	       a->skew_ms == b->skew_ms;
}

/* @key: the new one; NULL: as it is. The lock is held. */
static int change(struct wall *wall, const uint64_t *key, bool shared, bool force,
		  struct error *error)
{
	struct fw_secret old,
		new = {.window_scale = offers_window_scale(), .offers = offers_bits()};
	uint64_t next_until_ns;
	size_t accepted;
	int result = read_slot(wall, current_slot(wall), &old, error);

	if (result == 0)
		result = read_others(wall, &accepted, &next_until_ns, error);
	if (result < 0)
		return result;
	memcpy(new.key, key ? (const void *)key : old.key, sizeof(new.key));
	new.skew_ms = shared ? SKEW_MS : 0;
	new.clock_ns = shared ? wall_clock_ahead() : 0;
	new.made_ns = key ? clock_read_ns(CLOCK_REALTIME) : old.made_ns;
	if (is_same(&old, &new)) {
		result = set_clock(wall, current_slot(wall), &old, error);
		return result < 0 ? result : expect_cookies(wall, shared, error);
	}
	if (next_until_ns && !force)
		return error_set(
			error, -EBUSY,
			"%zu secrets before this one are still accepted, for handshakes that "
			"may be under way, and there is no room for another one; it can be "
			"done without losing any in %u s (--wait), or now (--force)",
			accepted, (unsigned int)((next_until_ns - clock_now_ns()) / CLOCK_SEC + 1));
	result = renew(wall, &old, &new, error);
	return result < 0 ? result : expect_cookies(wall, shared, error);
}

/* The current secret; one that was never made is all zero. */
static int read_current(struct wall *wall, struct fw_secret *secret, struct error *error)
{
	return read_slot(wall, current_slot(wall), secret, error);
}

int secrets_refresh(struct wall *wall, struct error *error)
{
	struct fw_secret now;
	uint64_t key[2];
	int result = read_current(wall, &now, error);

	if (result < 0)
		return result;
	if (now.made_ns)
		return change(wall, NULL, now.skew_ms != 0, true, error);
	result = draw_key(key, error);
	return result < 0 ? result : change(wall, key, false, true, error);
}

int secrets_apply(struct wall *wall, const uint64_t *shared, struct error *error)
{
	struct fw_secret now;
	uint64_t key[2];
	int result = read_current(wall, &now, error);

	if (result < 0)
		return result;
	if (shared)
		return change(wall, shared, true, true, error);
	if (!now.skew_ms)
		return secrets_refresh(wall, error);
	result = draw_key(key, error); /* the others' no more */
	return result < 0 ? result : change(wall, key, false, true, error);
}

int wall_rekey(struct wall *wall, const char *file, bool force, struct error *error)
{
	uint64_t key[2];
	int result = file ? secret_file_read(file, key, error) : draw_key(key, error);

	if (result < 0)
		return result;
	wall_lock(wall);
	result = change(wall, key, file != NULL, force, error);
	wall_unlock(wall);
	explicit_bzero(key, sizeof(key));
	return result;
}

int wall_secret_keep_time(struct wall *wall, struct error *error)
{
	struct fw_secret secret;
	int result = 0, steps = 0;

	wall_lock(wall);
	for (uint32_t slot = 0; slot < FW_SECRETS && result >= 0; slot++) {
		result = read_slot(wall, slot, &secret, error);
		if (result == 0)
			result = set_clock(wall, slot, &secret, error);
		steps += result > 0;
	}
	wall_unlock(wall);
	return result < 0 ? result : steps > 0;
}

int wall_secret(struct wall *wall, struct wall_secret *said, struct error *error)
{
	static const struct fw_addr nobody;
	struct fw_secret secret;
	int result;

	*said = (struct wall_secret){.made_ns = 0};
	wall_lock(wall);
	result = read_current(wall, &secret, error);
	if (result == 0)
		result = read_others(wall, &said->accepted, &said->room_ns, error);
	wall_unlock(wall);
	if (result < 0)
		return result;
	said->made_ns = secret.made_ns;
	said->shared = secret.skew_ms != 0;
	said->window_scale = secret.window_scale;
	said->offers = secret.offers;
	/* Nothing else is hashed with this key over so few bytes. */
	said->fingerprint =
		(uint32_t)fw_hash(secret.key, &nobody, secret.window_scale | secret.offers << 4, 0);
	explicit_bzero(&secret, sizeof(secret));
	return 0;
}
