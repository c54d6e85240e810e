/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 6: concurrent connections per source and prefix. track.bpf.c adds and removes, the filter
 * compares with the cap.
 *
 * struct fw_connection_bucket in floodwall.h explains the table. A change is one compare-and-swap
 * on one word, so a count is exact however many CPUs take part; what can fail is only to find a
 * slot, and then the connection goes uncounted and the caller says so.
 */
#ifndef FLOODWALL_CONNECTIONS_H
#define FLOODWALL_CONNECTIONS_H

#include "maps.h"
#include "policy.h"
#include "records.h"

/* Lost races after which a change gives up. Each means that another CPU's change went through. */
enum { CONNECTIONS_RETRIES = 16 };

static __always_inline struct fw_connection_bucket *connections_bucket(__u64 hash)
{
	__u32 index = fw_connection_bucket_index(hash, fw_connection_mask);

	return bpf_map_lookup_elem(&connections, &index);
}

/* How many connections the holder of @hash has. */
static __always_inline __u64 connections_held(__u64 hash)
{
	struct fw_connection_bucket *bucket = connections_bucket(hash);

	return bucket ? fw_connection_count(bucket, hash) : 0;
}

static __always_inline bool connections_at_cap(__u64 hash, __u64 cap)
{
	return connections_held(hash) >= cap;
}

static __always_inline bool connections_swap(__u64 *slot, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(slot, from, to) == from;
}

/* The bucket's slot that holds @fingerprint, or else the first free one; FW_CONNECTION_SLOTS:
 * neither.
 */
static __always_inline __u32 connections_slot_for(const struct fw_connection_bucket *bucket,
						  __u64 fingerprint)
{
	__u32 free = FW_CONNECTION_SLOTS, i;
	__u64 word;

	for (i = 0; i < FW_CONNECTION_SLOTS; i++) {
		word = *(const volatile __u64 *)&bucket->slot[i];
		if ((word & ~FW_CONNECTION_COUNT_MASK) == fingerprint)
			return i;
		if (word == 0 && free == FW_CONNECTION_SLOTS)
			free = i;
	}
	return free;
}

static __always_inline __u64 connections_hash(const struct fw_connection_owner *holder)
{
	return policy_hash(&holder->addr, holder->service, holder->level);
}

/* What a slot's word becomes. The last connection takes the fingerprint with it. */
static __always_inline __u64 connections_word_after(__u64 word, __u64 fingerprint, bool adds)
{
	if (adds)
		return word ? word + 1 : fingerprint | 1;
	return word == (fingerprint | 1) ? 0 : word - 1;
}

/* One more connection of @holder, or one fewer. False: nothing has changed. */
static __always_inline bool connections_change(const struct fw_connection_owner *holder, bool adds)
{
	__u64 hash = connections_hash(holder), fingerprint = fw_connection_fingerprint(hash), word;
	struct fw_connection_bucket *bucket = connections_bucket(hash);
	__u32 i, slot;

	if (!bucket)
		return false;
	for (i = 0; i < CONNECTIONS_RETRIES; i++) {
		slot = connections_slot_for(bucket, fingerprint);
		if (slot >= FW_CONNECTION_SLOTS)
			return false;
		word = *(volatile __u64 *)&bucket->slot[slot];
		if ((word & ~FW_CONNECTION_COUNT_MASK) != fingerprint && !(adds && word == 0))
			continue; /* freed, and perhaps taken by another holder, meanwhile */
		if (adds && (word & FW_CONNECTION_COUNT_MASK) == FW_CONNECTION_COUNT_MASK)
			return false;
		if (!connections_swap(&bucket->slot[slot], word,
				      connections_word_after(word, fingerprint, adds)))
			continue;
		if (adds && word == 0) {
			bucket->owner[slot] = *holder;
			records_note(&holder->addr);
		}
		return true;
	}
	return false;
}

/*
 * Counts one more connection of @holder. False: the bucket is full, nothing was counted.
 *
 * Global functions, this and the next, so that the verifier looks at each once and not at every
 * call.
 */
__noinline bool connections_add(const struct fw_connection_owner *holder)
{
	return holder && connections_change(holder, true);
}

/* Undoes one connections_add() that returned true. False: there was nothing to undo. */
__noinline bool connections_remove(const struct fw_connection_owner *holder)
{
	return holder && connections_change(holder, false);
}

#endif
