/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allow and the block list.
 *
 * The block list is two maps: single addresses are a hash, everything wider is a trie. Which of
 * them an entry is in follows from its length, and nobody outside this file knows.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "wall/internal.h"

static bool is_host(enum wall_list list, const struct fw_prefix *prefix)
{
	return list == WALL_BLOCK && prefix->length == 128;
}

/* The map that @prefix belongs in, and its key there. */
static enum wall_map place(enum wall_list list, const struct fw_prefix *prefix, const void **key)
{
	*key = prefix;
	if (list == WALL_ALLOW)
		return MAP_ALLOW;
	if (!is_host(list, prefix))
		return MAP_BLOCK_PREFIXES;
	*key = &prefix->addr;
	return MAP_BLOCK_HOSTS;
}

static bool is_expired(const struct fw_list_entry *entry, uint64_t now)
{
	return entry->expires_ns && entry->expires_ns <= now;
}

int wall_list_add(struct wall *wall, enum wall_list list, const struct fw_prefix *prefix,
		  uint64_t seconds, const char *note, enum fw_verdict cause, struct error *error)
{
	struct fw_list_entry entry = {
		.created_ns = clock_now_ns(), .cause = cause, .length = prefix->length};
	char text[ADDRESS_TEXT_SIZE];
	enum wall_map map;
	const void *key;
	int result;

	if (note && strlen(note) >= sizeof(entry.note))
		return error_set(error, -EINVAL, "a note has at most %zu bytes",
				 sizeof(entry.note) - 1);
	if (seconds > (UINT64_MAX - entry.created_ns) / CLOCK_SEC)
		return error_set(error, -ERANGE, "%llu seconds are too many",
				 (unsigned long long)seconds);
	if (seconds)
		entry.expires_ns = entry.created_ns + seconds * CLOCK_SEC;
	if (note)
		strcpy(entry.note, note);
	map = place(list, prefix, &key);
	result = wall_map_update(wall, map, key, &entry, error);
	if (result < 0)
		return error_wrap(error, result, "%s", prefix_format(prefix, text));
	if (map == MAP_BLOCK_HOSTS)
		return wall_records_note(wall, &prefix->addr, FW_RECORD_BLOCKED, error);
	return 0;
}

int wall_list_remove(struct wall *wall, enum wall_list list, const struct fw_prefix *prefix,
		     struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	const void *key;
	enum wall_map map = place(list, prefix, &key);

	if (bpf_map_delete_elem(wall->maps[map].fd, key) == 0)
		return 0;
	return error_set(error, -errno, "%s: %s", prefix_format(prefix, text),
			 errno == ENOENT ? "is not on the list" : strerror(errno));
}

/* A map's entries as they are in both: prefix and entry. */
struct snapshot {
	void *keys;
	struct fw_list_entry *entries;
	size_t count;
};

static int take_snapshot(struct wall *wall, enum wall_map map, struct snapshot *snapshot,
			 struct error *error)
{
	size_t key_size =
		map == MAP_BLOCK_HOSTS ? sizeof(struct fw_addr) : sizeof(struct fw_prefix);
	void *values;
	int result = wall_map_dump(wall, map, key_size, sizeof(struct fw_list_entry),
				   &snapshot->keys, &values, &snapshot->count, error);

	snapshot->entries = values;
	return result;
}

static struct fw_prefix snapshot_prefix(const struct snapshot *snapshot, enum wall_map map,
					size_t i)
{
	if (map == MAP_BLOCK_HOSTS)
		return (struct fw_prefix){128, ((const struct fw_addr *)snapshot->keys)[i]};
	return ((const struct fw_prefix *)snapshot->keys)[i];
}

static int each_of(struct wall *wall, enum wall_map map, bool expired,
		   int (*each)(void *context, const struct fw_prefix *prefix,
			       const struct fw_list_entry *entry),
		   void *context, struct error *error)
{
	uint64_t now = clock_now_ns();
	struct snapshot snapshot;
	struct fw_prefix prefix;
	int result = take_snapshot(wall, map, &snapshot, error);

	for (size_t i = 0; i < snapshot.count && result == 0; i++) {
		prefix = snapshot_prefix(&snapshot, map, i);
		if (map == MAP_BLOCK_HOSTS) /* it may be of someone who wrote the map by hand */
			result = wall_records_note(wall, &prefix.addr, FW_RECORD_BLOCKED, error);
		if (result < 0 || is_expired(&snapshot.entries[i], now) != expired)
			continue;
		snapshot.entries[i].note[FW_NOTE_SIZE - 1] = '\0';
		result = each(context, &prefix, &snapshot.entries[i]);
	}
	free(snapshot.keys);
	free(snapshot.entries);
	return result;
}

int wall_list_each(struct wall *wall, enum wall_list list,
		   int (*each)(void *context, const struct fw_prefix *prefix,
			       const struct fw_list_entry *entry),
		   void *context, struct error *error)
{
	int result;

	if (list == WALL_ALLOW)
		return each_of(wall, MAP_ALLOW, false, each, context, error);
	result = each_of(wall, MAP_BLOCK_HOSTS, false, each, context, error);
	return result ? result : each_of(wall, MAP_BLOCK_PREFIXES, false, each, context, error);
}

struct expiry {
	struct wall *wall;
	enum wall_list list;
	int removed;
};

static int remove_expired(void *context, const struct fw_prefix *prefix,
			  const struct fw_list_entry *entry)
{
	struct expiry *expiry = context;

	(void)entry;
	expiry->removed += wall_list_remove(expiry->wall, expiry->list, prefix, NULL) == 0;
	return 0;
}

int wall_list_expire(struct wall *wall, enum wall_list list, struct error *error)
{
	struct expiry expiry = {.wall = wall, .list = list};
	int result;

	if (list == WALL_ALLOW) {
		result = each_of(wall, MAP_ALLOW, true, remove_expired, &expiry, error);
	} else {
		result = each_of(wall, MAP_BLOCK_HOSTS, true, remove_expired, &expiry, error);
		if (result == 0)
			result = each_of(wall, MAP_BLOCK_PREFIXES, true, remove_expired, &expiry,
					 error);
	}
	return result < 0 ? result : expiry.removed;
}
