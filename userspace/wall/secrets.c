/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secrets of SYN cookies. A new one is written to the slot that is not in use, and then becomes
 * current with one store; the one before is accepted for as long as its cookies may come back.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include "base/clock.h"
#include "wall/admit.h"

#define COOKIE_LIFE_NS 120000000000ULL /* as in bpf/cookie.h */
#define SCALE_MAX      14

/* Word number @index of a sysctl's value; @otherwise: it can't be read. */
static unsigned long read_sysctl(const char *name, int index, unsigned long otherwise)
{
	unsigned long value = otherwise, words[3];
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	file = fopen(path, "r");
	if (!file)
		return otherwise;
	if (fscanf(file, "%lu %lu %lu", &words[0], &words[1], &words[2]) > index)
		value = words[index];
	fclose(file);
	return value;
}

/* As the kernel chooses it for a socket that it answers for itself (tcp_select_initial_window). */
static uint32_t window_scale(void)
{
	unsigned long space = read_sysctl("ipv4/tcp_rmem", 2, 6291456);
	unsigned long most = read_sysctl("core/rmem_max", 0, 212992);
	uint32_t scale = 0;

	if (most > space)
		space = most;
	while (space > 65535 && scale < SCALE_MAX) {
		space >>= 1;
		scale++;
	}
	return scale;
}

static uint32_t offers(void)
{
	return (read_sysctl("ipv4/tcp_window_scaling", 0, 1) ? FW_OFFER_WINDOW_SCALE : 0) |
	       (read_sysctl("ipv4/tcp_sack", 0, 1) ? FW_OFFER_SACK : 0) |
	       (read_sysctl("ipv4/tcp_timestamps", 0, 1) ? FW_OFFER_TIMESTAMPS : 0) |
	       (read_sysctl("ipv4/tcp_ecn", 0, 2) ? FW_OFFER_ECN : 0);
}

static int renew(struct wall *wall, uint32_t before, struct fw_secret *old, struct fw_secret *new,
		 struct error *error)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);
	uint32_t index = (before + 1) % FW_SECRETS;
	int result;

	if (!meta)
		return -EIO;
	result = wall_map_update(wall, MAP_SECRETS, &index, new, error);
	if (result == 0) {
		old->until_ns = clock_read_ns(CLOCK_MONOTONIC) + COOKIE_LIFE_NS;
		__atomic_store_n(&meta->secret, index, __ATOMIC_SEQ_CST);
		result = wall_map_update(wall, MAP_SECRETS, &before, old, error);
	}
	munmap(meta, wall->maps[MAP_META].size);
	return result;
}

int secrets_refresh(struct wall *wall, struct error *error)
{
	struct fw_secret old, new = {.window_scale = window_scale(), .offers = offers()};
	uint32_t current = wall->meta->secret % FW_SECRETS;
	int result = wall_map_lookup(wall, MAP_SECRETS, &current, &old, error);

	if (result < 0)
		return result;
	if ((old.key[0] || old.key[1]) && old.window_scale == new.window_scale &&
	    old.offers == new.offers)
		return 0;
	if (getrandom(new.key, sizeof(new.key), 0) != sizeof(new.key))
		return error_set(error, -EIO, "the kernel gives no random numbers");
	return renew(wall, current, &old, &new, error);
}
