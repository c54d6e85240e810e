/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stages 2 and 3: the allow list and the block list.
 *
 * The longest prefix that holds the source decides; an expired entry counts as absent, and the next
 * wider one decides in its place. Entries are removed by user space; the filter only looks past
 * them.
 */
#ifndef FLOODWALL_LISTS_H
#define FLOODWALL_LISTS_H

#include <stddef.h>
#include <bpf/bpf_core_read.h>
#include "expect.h"
#include "maps.h"
#include "packet.h"
#include "records.h"

/* Expired entries that may cover each other on one source. Past that the source counts as unlisted.
 */
enum { LISTS_EXPIRED_DEPTH = 8 };

/* The coarse clock (a few milliseconds) is a third of the precise one's price. */
static __always_inline bool lists_entry_lives(const struct fw_list_entry *entry)
{
	return entry->expires_ns == 0 || entry->expires_ns > bpf_ktime_get_coarse_ns();
}

/* Narrowest entry that covers the source and has not expired, after @entry, which has. */
static __noinline struct fw_list_entry *lists_look_past(void *list, struct fw_list_entry *entry,
							const struct fw_prefix *source)
{
	struct fw_prefix key = *source;
	int i;

	for (i = 0; i < LISTS_EXPIRED_DEPTH && entry->length > 0 && entry->length <= key.length;
	     i++) {
		key.length = entry->length - 1;
		entry = bpf_map_lookup_elem(list, &key);
		if (!entry || lists_entry_lives(entry))
			return entry;
	}
	return NULL;
}

/* The kernel's view of a trie, as far as it concerns us; where the field is, libbpf finds out. */
struct lpm_trie {
	size_t n_entries;
} __attribute__((preserve_access_index));

/* A list that is not in use costs one load. */
static __always_inline bool lists_is_empty(void *list)
{
	return bpf_core_field_exists(struct lpm_trie, n_entries) &&
	       ((struct lpm_trie *)list)->n_entries == 0;
}

static __always_inline struct fw_list_entry *lists_find(void *list, const struct packet *packet)
{
	struct fw_list_entry *entry;

	if (likely(lists_is_empty(list)))
		return NULL;
	entry = bpf_map_lookup_elem(list, &packet->source);
	if (entry && !lists_entry_lives(entry))
		entry = lists_look_past(list, entry, &packet->source);
	return entry;
}

static __always_inline bool lists_prefix_holds(void *list, const struct packet *packet)
{
	struct fw_list_entry *entry = lists_find(list, packet);

	if (!entry)
		return false;
	entry->packets++;
	return true;
}

static __always_inline bool lists_host_holds(void *list, const struct packet *packet)
{
	struct fw_list_entry *entry = bpf_map_lookup_elem(list, &packet->source.addr);

	if (!entry || !lists_entry_lives(entry))
		return false;
	entry->packets++;
	return true;
}

static __always_inline bool lists_allow(const struct packet *packet)
{
	return lists_prefix_holds(&allow, packet);
}

/* The same for a whole connection, which is no packet that the entry decided. */
static __always_inline bool lists_exempt(const struct packet *packet)
{
	return lists_find(&allow, packet) != NULL;
}

static __always_inline enum fw_verdict lists_block(const struct packet *packet)
{
	if ((unlikely(records_have_blocked(packet->network)) &&
	     lists_host_holds(&block_hosts, packet)) ||
	    lists_prefix_holds(&block_prefixes, packet))
		return FW_BLOCKED;
	return FW_NONE;
}

#endif
