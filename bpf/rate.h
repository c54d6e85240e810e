/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stages 7 and 9: rates that have a cell of their own. A verified source's are exact and live in
 * the map `sources`, which only a proof inserts into: an address that was merely claimed never
 * costs an entry. A service's gate is the last word on all unverified attempts together.
 */
#ifndef FLOODWALL_RATE_H
#define FLOODWALL_RATE_H

#include "limit.h"
#include "maps.h"
#include "packet.h"
#include "policy.h"
#include "records.h"

/* Lost races after which an attempt is charged by plain addition. */
enum { RATE_RETRIES = 4 };

/* Whether an attempt would come too early. */
static __always_inline bool rate_is_used_up(const __u64 *cell, struct limit limit, __u64 now)
{
	__u64 tat = *(const volatile __u64 *)cell;

	return limit.interval_ns && limit_refuses(&limit, limit_effective(&limit, tat, now), now);
}

/* Charges one attempt to @cell; false if it comes too early, and then it costs nothing. */
static __always_inline bool rate_take(__u64 *cell, struct limit limit, __u64 now)
{
	__u64 tat, effective;
	int i;

	if (limit.interval_ns == 0)
		return true;
	for (i = 0; i < RATE_RETRIES; i++) {
		tat = *(volatile __u64 *)cell;
		effective = limit_effective(&limit, tat, now);
		if (limit_refuses(&limit, effective, now)) {
			if (effective < tat) /* left by a slower limit */
				__sync_val_compare_and_swap(cell, tat, effective);
			return false;
		}
		if (__sync_val_compare_and_swap(cell, tat, effective + limit.interval_ns) == tat)
			return true;
	}
	__sync_fetch_and_add(cell, limit.interval_ns);
	return true;
}

static __always_inline struct fw_source_key rate_key(const struct packet *packet)
{
	return (struct fw_source_key){
		.addr = fw_addr_at_level(packet->source.addr, FW_LEVEL_SOURCE),
		.service = packet->service,
	};
}

/* The source's entry for the packet's service, or NULL: it is not verified. */
static __always_inline struct fw_source *rate_verified_source(const struct packet *packet)
{
	struct fw_source_key key = rate_key(packet);

	return bpf_map_lookup_elem(&sources, &key);
}

/* The same of a source that has just proved itself; NULL: the table refused an entry. What it has
 * used up stays so: a new proof is no new burst. */
static __always_inline struct fw_source *rate_prove(const struct packet *packet)
{
	struct fw_source_key key = rate_key(packet);
	struct fw_source *source = bpf_map_lookup_elem(&sources, &key), fresh = {};

	if (!source) {
		bpf_map_update_elem(&sources, &key, &fresh, BPF_NOEXIST);
		source = bpf_map_lookup_elem(&sources, &key);
		records_note(&packet->source.addr);
	}
	return source;
}

static __always_inline struct limit rate_of_source(__u32 service)
{
	return limit_set(service, FW_SET_SOURCE_SYN_RATE, FW_SET_SOURCE_SYN_BURST);
}

/* Charges a verified source for a handshake that it completed. */
static __always_inline enum fw_verdict rate_handshake(struct fw_source *source, __u32 service,
						      __u64 now)
{
	return rate_take(&source->tat_ns, rate_of_source(service), now) ? FW_NONE
									: FW_VERIFIED_SYN_RATE;
}

/* Charges an attempt to @cell, one of a verified source's. Who has used up the handshakes gains
 * nothing by attempts. */
static __always_inline enum fw_verdict rate_attempt(const struct fw_source *source, __u64 *cell,
						    __u32 service, __u64 now)
{
	struct limit limit = rate_of_source(service);

	if (rate_is_used_up(&source->tat_ns, limit, now) || !rate_take(cell, limit, now))
		return FW_VERIFIED_SYN_RATE;
	return FW_NONE;
}

/*
 * Charges an attempt under a verified source's address. Whoever forges it uses up these attempts,
 * but no handshakes; who does nothing but forge leaves the source the way by a cookie.
 */
static __always_inline enum fw_verdict rate_verified(struct fw_source *source, __u32 service,
						     __u64 now)
{
	return rate_attempt(source, &source->syn_tat_ns, service, now);
}

/* The same of an attempt beyond these, by a flow that the stack has a socket of: it can't be
 * answered with a cookie, and a forger would have to know the flow. */
static __always_inline enum fw_verdict rate_again(struct fw_source *source, __u32 service,
						  __u64 now)
{
	return rate_attempt(source, &source->again_tat_ns, service, now);
}

static __always_inline enum fw_verdict rate_gate(__u32 service, __u64 now)
{
	struct limit limit = limit_set(service, FW_SET_SERVICE_SYN_RATE, FW_SET_SERVICE_SYN_BURST);
	__u64 *cell;

	if (!limit.interval_ns)
		return FW_NONE;
	cell = bpf_map_lookup_elem(&gates, &service);
	return !cell || rate_take(cell, limit, now) ? FW_NONE : FW_SERVICE_SYN_RATE;
}

/* Whether a service has more unverified attempts than it should take on trust. */
static __always_inline bool rate_strains(__u32 service, __u64 now)
{
	struct limit limit = limit_set(service, FW_SET_CHALLENGE_RATE, FW_SET_CHALLENGE_BURST);
	struct fw_strain *strain = bpf_map_lookup_elem(&strains, &service);

	return strain && !rate_take(&strain->newcomers_tat_ns, limit, now);
}

/* The same of verified ones. */
static __always_inline bool rate_strains_verified(__u32 service, __u64 now)
{
	struct limit limit =
		limit_set(service, FW_SET_CHALLENGE_VERIFIED_RATE, FW_SET_CHALLENGE_VERIFIED_BURST);
	struct fw_strain *strain = bpf_map_lookup_elem(&strains, &service);

	return strain && !rate_take(&strain->verified_tat_ns, limit, now);
}

/* A rate of the host's on what anybody may send: of each kind, so that one flood doesn't use up
 * what another kind may have. A second's worth may come at once. */
static __always_inline bool rate_host(enum fw_setting setting)
{
	__u64 rate = policy_setting(FW_HOST_SERVICE, setting);
	__u32 index = setting;
	__u64 *cell = bpf_map_lookup_elem(&rates, &index);

	return !cell || rate_take(cell, limit_of(rate, rate), bpf_ktime_get_coarse_ns());
}

#endif
