/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bits that spare the filter its tables: bpf/records.h.
 *
 * A bit is never cleared, so with time every network would have one. wall_records_tidy() makes a
 * new half of what is in the tables now. Nobody waits for that and nothing is missed: whoever
 * writes a record notes it in both halves afterwards, so it is either in the tables when they are
 * read, or noted after the half was emptied.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "wall/internal.h"

enum { WORDS = (1 << FW_RECORD_BITS) / 64 };

static void note(struct wall *wall, uint32_t half, const struct fw_addr *addr, enum fw_record what)
{
	uint32_t bit = fw_record_bit(wall->seed, fw_network(addr));
	uint64_t *word = &wall->records[fw_record_word(half, bit)],
		 noted = (uint64_t)what << bit % 64;

	if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & noted))
		__atomic_fetch_or(word, noted, __ATOMIC_SEQ_CST);
}

int wall_records_note(struct wall *wall, const struct fw_addr *addr, enum fw_record what,
		      struct error *error)
{
	struct fw_meta *meta;

	note(wall, 0, addr, what);
	note(wall, 1, addr, what);
	if (!(what & FW_RECORD_BLOCKED) || wall->meta->blocked)
		return 0;
	meta = wall_map_writable(wall, MAP_META, error);
	if (!meta)
		return -EIO;
	__atomic_store_n(&meta->blocked, 1, __ATOMIC_SEQ_CST);
	munmap(meta, wall->maps[MAP_META].size);
	return 0;
}

uint32_t wall_records_of(struct wall *wall, const struct fw_addr *addr)
{
	uint32_t bit = fw_record_bit(wall->seed, fw_network(addr));
	uint32_t word = fw_record_word(wall->meta->records, bit);

	return __atomic_load_n(&wall->records[word], __ATOMIC_SEQ_CST) >> bit % 64 & 3;
}

static uint64_t count_bits(struct wall *wall, uint32_t half)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < WORDS; i++)
		count += __builtin_popcountll(wall->records[fw_record_word(half, i * 64)]);
	return count;
}

/* Notes the network of every key of a table; a key begins with the address. */
static int note_table(struct wall *wall, uint32_t half, enum fw_record what, enum wall_map map,
		      size_t key_size, size_t value_size, struct error *error)
{
	void *keys, *values;
	size_t count;
	int result = wall_map_dump(wall, map, key_size, value_size, &keys, &values, &count, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++)
		note(wall, half, (const void *)((const char *)keys + i * key_size), what);
	free(keys);
	free(values);
	return 0;
}

static int note_holders(struct wall *wall, uint32_t half, enum fw_level level, struct error *error)
{
	struct wall_holder *holders;
	size_t count;
	int result = wall_holders(wall, level, &holders, &count, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++)
		note(wall, half, &holders[i].prefix.addr, FW_RECORD_KNOWN);
	free(holders);
	return 0;
}

static int note_everything(struct wall *wall, uint32_t half, struct error *error)
{
	int result = note_table(wall, half, FW_RECORD_KNOWN, MAP_SOURCES,
				sizeof(struct fw_source_key), sizeof(struct fw_source), error);

	if (result == 0)
		result = note_table(wall, half, FW_RECORD_BLOCKED, MAP_BLOCK_HOSTS,
				    sizeof(struct fw_addr), sizeof(struct fw_list_entry), error);
	if (result == 0)
		result = note_holders(wall, half, FW_LEVEL_SOURCE, error);
	if (result == 0)
		result = note_holders(wall, half, FW_LEVEL_PREFIX, error);
	return result;
}

static int renew(struct wall *wall, struct fw_meta *meta, struct error *error)
{
	uint32_t half = (meta->records & 1) ^ 1;
	int result;

	for (uint32_t i = 0; i < WORDS; i++)
		__atomic_store_n(&wall->records[fw_record_word(half, i * 64)], 0, __ATOMIC_SEQ_CST);
	result = note_everything(wall, half, error);
	if (result == 0)
		__atomic_store_n(&meta->records, half, __ATOMIC_SEQ_CST);
	return result;
}

static uint64_t somebody_is_blocked(const struct wall *wall)
{
	struct fw_addr first;

	return bpf_map_get_next_key(wall->maps[MAP_BLOCK_HOSTS].fd, NULL, &first) == 0;
}

/* Who blocks somebody meanwhile says so afterwards, or is in the table at the second look. */
static void review_blocked(const struct wall *wall, struct fw_meta *meta)
{
	if (!meta->blocked || somebody_is_blocked(wall))
		return;
	__atomic_store_n(&meta->blocked, 0, __ATOMIC_SEQ_CST);
	if (somebody_is_blocked(wall))
		__atomic_store_n(&meta->blocked, 1, __ATOMIC_SEQ_CST);
}

int wall_records_tidy(struct wall *wall, unsigned int share, struct error *error)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);
	int result = 0;

	if (!meta)
		return -EIO;
	wall_lock(wall);
	if (count_bits(wall, meta->records) > (1u << FW_RECORD_BITS) / share)
		result = renew(wall, meta, error) < 0 ? -EIO : 1;
	review_blocked(wall, meta);
	wall_unlock(wall);
	munmap(meta, wall->maps[MAP_META].size);
	return result;
}
