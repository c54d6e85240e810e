/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract: every key, value and enum that the filter in the kernel and the programs in user
 * space share.
 *
 * It is the only header both sides include, and includes at its end what is said apart: how
 * addresses are hashed (hash.h) and how named lists are laid out (listing.h). Whatever they say is
 * hashed at build time (FW_LAYOUT); the hash is pinned with the maps, and a program whose own hash
 * differs refuses to touch them.
 *
 * Sizes are explicit, padding is spelled out, and no struct holds a pointer.
 *
 * Left out: the maps themselves (maps.h), texts (verdicts.def, settings.def), anything that only
 * one side needs.
 */
#ifndef FLOODWALL_H
#define FLOODWALL_H

#ifndef FW_LAYOUT_ONLY /* hashing looks at our own lines, not at the machine's headers */
#include <linux/types.h>
#endif

/* Reasons: the enum of verdicts.def. Values index counters and modes. */
enum fw_verdict {
	FW_NONE = 0, /* not judged: the next stage decides */
#define FW_VERDICT(id, label, action, status, fault, text) FW_##id,
#include "verdicts.def"
#undef FW_VERDICT
	FW_VERDICT_COUNT,
};

enum fw_action {
	FW_ACTION_PASS,
	FW_ACTION_DROP,
	FW_ACTION_REFUSE,
	FW_ACTION_CLOSE,
	FW_ACTION_FAULT,
	FW_ACTION_ANSWER
};

/* Settings: the enum of settings.def. Values index a service's row in the map `settings`. */
enum fw_setting {
#define FW_SETTING(id, name, scope, unit, def, min, max, text) FW_SET_##id,
#include "settings.def"
#undef FW_SETTING
	FW_SETTING_COUNT,
};

/* Sizes that are part of the layout. */
enum {
	FW_SERVICES_MAX = 128, /* service 0 is the host itself: packets for no service, settings of
				  scope HOST */
	FW_VERDICTS_MAX = 128,
	FW_SETTINGS_MAX = 96,
	FW_NAME_SIZE = 32,        /* a service's name with its NUL */
	FW_NOTE_SIZE = 40,        /* an operator's words on a list entry with their NUL */
	FW_SKETCH_LINES = 4096,   /* of 64 bytes: 256 KiB fit L2 */
	FW_SKETCH_CELLS = 8,      /* a line's words fill one cache line */
	FW_SKETCH_MARK_BITS = 12, /* of a cell, the lowest: whose it is; the rest is its time */
	FW_RECORD_BITS = 21,      /* 2^21 bits, two a network: 256 KiB fit L2 */
	FW_CONNECTION_SLOTS = 8,  /* a bucket's words fill one cache line */
	FW_EVENTS_MAX = 8192,
	FW_WORKERS_MAX = 64, /* rows of the board: of all generations of the proxy together */
	FW_METRICS_MAX = 64,
	FW_LISTS_MAX = 64,         /* named lists */
	FW_LIST_RULES_MAX = 65536, /* leaves of the IPv4 tree name a rule in 16 bits */
	FW_SECRETS = 4,            /* the current one and those before */
	FW_HOMES = 16,             /* of the host's addresses; a power of two */
	FW_ARRIVALS = 4096,        /* flows that have just returned a cookie; a power of two */
	FW_SILENT_LINES = 16384,   /* of flows that ended without a word; a power of two */
	FW_SILENT_FLOWS = 8,       /* in a line, which is one of the cache's; a power of two */
	FW_CALLERS = 16384,        /* peers that spoke before they were asked; a power of two */
	FW_SHUT_LINES = 4096,      /* of 64 bytes: 256 KiB fit L2 */
	FW_COMPLAINTS = 512,       /* that the proxy's worker may be ahead of who reads them */
	FW_SERVERS_MAX = 512,      /* of all upstreams, that are shown */
	FW_SERVER_TEXT = 128,      /* what the configuration calls one, with its NUL */
};

#define FW_HOST_SERVICE 0

/*
 * An address, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that every table has one key
 * for both families. Network byte order.
 */
struct fw_addr {
	__be32 word[4];
};

/*
 * How much of an address a count or rate is about. An IPv6 host has a whole /64 to call from (RFC
 * 4291 section 2.5.1, RFC 8981), so that, and not an address, is what stands for one source.
 */
enum fw_level {
	FW_LEVEL_SOURCE, /* IPv4 address, IPv6 /64 */
	FW_LEVEL_PREFIX, /* IPv4 /24, IPv6 /48: what one customer of a network may have */
};

/* A CIDR block. Length counts bits of the 128: an IPv4 /24 is 120. Host bits are zero. */
struct fw_prefix {
	__u32 length;
	struct fw_addr addr;
};

/* An entry of the allow or the block list. */
struct fw_list_entry {
	__u64 created_ns; /* CLOCK_MONOTONIC */
	__u64 expires_ns; /* CLOCK_MONOTONIC; 0: never. An expired entry counts as absent */
	__u64 packets;    /* that the entry decided; written by the filter, approximate under
			     contention */
	__u32 cause;      /* enum fw_verdict that brought the entry about; FW_NONE: an operator */
	char note[FW_NOTE_SIZE];
	__u32 length; /* of the entry's own prefix, in bits of the 128: where the filter looks on
			 for a wider prefix once this entry has expired */
};

/* Where a service listens. An unspecified address of its family (::ffff:0.0.0.0, ::) matches every
 * destination of that family. */
struct fw_service_key {
	struct fw_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 zero;
};

enum fw_service_kind { FW_SERVICE_FREE, FW_SERVICE_PLAIN, FW_SERVICE_LISTENER };

/* What a service id stands for. Ids are indices; a free id's row is all zero. */
struct fw_service {
	char name[FW_NAME_SIZE]; /* [a-z0-9_-]+ */
	__u32 kind;              /* enum fw_service_kind */
	__u32 from_file; /* 1: the configuration named it, and it goes with it; 0: added by hand */
};

/* When a newcomer is challenged; the setting challenge.mode. */
enum fw_challenge { FW_CHALLENGE_NEVER, FW_CHALLENGE_AUTO, FW_CHALLENGE_ALWAYS };

/* Per service: GCRA cells of the attempts above whose rate sources are challenged. */
struct fw_strain {
	__u64 newcomers_tat_ns; /* CLOCK_MONOTONIC */
	__u64 verified_tat_ns;
};

/*
 * A question that this host put to another: a packet to a port that reflectors answer from, an echo
 * request (the identifier is its local port, the remote one is 0), or a SYN that it forwarded. Its
 * answer has the ends exchanged. Only what leaves the host writes one.
 */
struct fw_question {
	struct fw_addr local, remote;
	__be16 local_port, remote_port;
	__u8 proto; /* IPPROTO_UDP, IPPROTO_ICMP (for both families) or IPPROTO_TCP */
	__u8 zero[3];
};

struct fw_asked {
	__u64 asked_ns; /* CLOCK_MONOTONIC: when it was put last */
	__s32 answers;  /* that may still come */
	__u32 called;   /* 1: the other side spoke first, so it was rather an answer */
};

/*
 * What cookies are made with. The window scale is of the secret, since the answer that advertises
 * it and the socket made minutes later, maybe on another host, must agree.
 */
struct fw_secret {
	__u64 key[2];
	__s64 clock_ns; /* added to CLOCK_MONOTONIC: makes the minutes of several hosts the same */
	__u64 until_ns; /* CLOCK_MONOTONIC: when it stops being accepted; means nothing while
			   current, 0: it never was in use */
	__u64 made_ns;  /* CLOCK_REALTIME */
	__u32 window_scale; /* that our sockets use for receiving */
	__u32 offers;       /* enum fw_offer: what the kernel's sysctls allow */
	__u32 skew_ms; /* that other hosts' clocks may be ahead of ours; 0: none has the secret */
	__u32 zero;
};

enum fw_offer {
	FW_OFFER_WINDOW_SCALE = 1,
	FW_OFFER_SACK = 2,
	FW_OFFER_TIMESTAMPS = 4,
	FW_OFFER_ECN = 8,
};

/* How the filter can answer in a server's place, best last. */
enum fw_tier {
	FW_TIER_DROP,   /* not at all: who would be challenged is dropped */
	FW_TIER_KERNEL, /* with the kernel's own cookies: MSS is the one option that survives */
	FW_TIER_OWN,    /* with ours, for which admit.bpf.c makes request sockets */
};

/* What becomes of a packet that a rule condemns; per reason in the map `modes`. */
enum fw_mode { FW_MODE_ENFORCE, FW_MODE_MONITOR };

/* Per CPU, service and reason: index fw_counter_index(). */
struct fw_counter {
	__u64 packets; /* that got this verdict */
	__u64 bytes;
	__u64 would; /* packets that would have got it, had the rule not been in monitor mode */
};

/* A source that proved that it receives our packets, with its exact rate for one service. */
struct fw_source_key {
	struct fw_addr addr; /* at FW_LEVEL_SOURCE */
	__u32 service;
};

/* Handshakes that it completes are its own, and so is their rate; SYNs that bear its address may be
 * anybody's. */
struct fw_source {
	__u64 tat_ns;       /* of handshakes: GCRA theoretical arrival time, CLOCK_MONOTONIC */
	__u64 syn_tat_ns;   /* of SYNs: those that come faster are answered with cookies, … */
	__u64 again_tat_ns; /* … and those that can't be, as the stack has a socket of their flow */
};

/* A set of the sketch; sketch.h says what a cell holds. */
struct fw_sketch_line {
	__u64 cell[FW_SKETCH_CELLS];
};

/*
 * Concurrent connections: a table of buckets that nothing is ever deleted from. A slot is one word,
 * so that inserting, counting and freeing are each a single compare-and-swap and no count can be
 * lost between two CPUs:
 *
 *     fingerprint (upper 40 bits) | connections (lower 24 bits);  0: free
 *
 * Two CPUs may claim two slots for the same fingerprint; readers add up every match, and a close
 * takes from any of them. The owner is written after the claim, for people to read; nothing is
 * decided by it.
 */
struct fw_connection_owner {
	struct fw_addr addr; /* masked to its level */
	__u16 service;
	__u16 level; /* enum fw_level */
	__u32 zero;
};

struct fw_connection_bucket {
	__u64 slot[FW_CONNECTION_SLOTS];
	struct fw_connection_owner owner[FW_CONNECTION_SLOTS];
};

#define FW_CONNECTION_COUNT_BITS 24
#define FW_CONNECTION_COUNT_MASK ((1ULL << FW_CONNECTION_COUNT_BITS) - 1)

/* What the kernel remembers with a tracked socket, so that its close undoes exactly what its start
 * did. */
struct fw_socket {
	__u64 epoch; /* of the connection table; a socket of an older epoch is not counted any more
		      */
	struct fw_addr source;
	__u16 service;
	__u8 counted_source;
	__u8 counted_prefix;
	__u8 is_awaited; /* its handshake: Fast Open made it before that was complete */
	__u8 zero[3];
};

/*
 * A sampled event. The map `events` is a ring of the newest FW_EVENTS_MAX: slot = sequence %
 * FW_EVENTS_MAX. It has no consumer that must keep up: any number of readers follow it through
 * mmap, and after a crash the last events are still there. A writer clears `sequence`, fills the
 * slot, then stores sequence; a reader takes a slot only if sequence is the same, and the expected
 * one, before and after.
 */
struct fw_event {
	__u64 sequence; /* from 1 */
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 count;    /* packets or refusals of this reason, service and CPU since its previous
			   event, this one included */
	struct fw_addr source;
	struct fw_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u16 service;
	__u16 verdict; /* enum fw_verdict */
	__u8 proto;
	__u8 mode;    /* enum fw_mode: FW_MODE_MONITOR is "would have" */
	__u16 length; /* of the packet, bytes */
	__u32 ifindex;
};

/* Per CPU and reason: when it last spoke, and what it has not told yet. Private to the filter. */
struct fw_sampler {
	__u64 tat_ns;
	__u64 untold;
};

/* An address and port of the host itself, and the MTU of an interface by which packets come to it.
 * Private to the filter. */
struct fw_home {
	struct fw_service_key place;
	__u32 ifindex;
	__u32 mtu;
	__u64 until_ns; /* CLOCK_MONOTONIC: when the kernel has to be asked again */
};

/* What may be on record about a network: its two bits in the map `records`. Clear: nothing. */
enum fw_record {
	FW_RECORD_BLOCKED = 1, /* in block_hosts */
	FW_RECORD_KNOWN = 2,   /* in sources or connections */
};

/*
 * Per service. The filter writes it, and whoever else runs short may, together with the latest of
 * all services in fw_meta, by which one look tells that nothing is on. Under pressure every
 * newcomer is challenged, and a segment needs a socket or a cookie. Times are CLOCK_MONOTONIC; 0:
 * never yet.
 */
struct fw_pressure {
	__u64 until_ns;
	__u64 caps_ns; /* until then a handshake may complete that takes its source past a cap */
	__u64 verified_ns; /* until then verified sources are challenged as well */
	__u64 zero;
};

/* One for the whole filter: what its programs and user space tell each other. */
struct fw_meta {
	__u64 layout;      /* FW_LAYOUT of the program that made the maps */
	__u64 seed[2];     /* random key of fw_hash(); new with each set of maps */
	__u64 epoch;       /* of the connection table: advances when tracking starts anew */
	__u64 attached_ns; /* CLOCK_REALTIME of the first attachment */
	__u64 events;      /* sequence of the newest event; advanced by the filter */
	__u64 secret;      /* index of the current one in the map `secrets` */
	__u64 records; /* the half of the map `records` that is in use, 0 or 1. Notes go to both;
			  the other one is emptied, filled from the tables, and taken into use,
			  as a bit that nobody needs any more can't be told from the others */
	__u64 segments_ns; /* until then the filter looks at segments of connections: a service is
			      under pressure, or a source at a cap. The latest of all services' */
	__u64 listing;     /* whether there may be something in the map `listing`, 0 or 1 */
	__u64 blocked;     /* whether any network may have FW_RECORD_BLOCKED, 0 or 1 */
	__u64 cookies_ns; /* until then a cookie that was sent may come back; ~0: at any time, since
			     other hosts send them too */
	__u64 shut_ns;    /* until then somebody is shut out: the latest of all */
	__u64 silent_s;   /* until then an end that was silent may be told: the latest of all */
	__u64 zero[2];
};

/* Flows of connections that ended without a word (silent.h). */
struct fw_silent_line {
	__u64 flow[FW_SILENT_FLOWS];
};

/* How a server of an upstream is. */
enum fw_server_state {
	FW_SERVER_UP,
	FW_SERVER_TRIAL,   /* it was ejected, and is tried with a few requests */
	FW_SERVER_EJECTED, /* for what requests met */
	FW_SERVER_DOWN,    /* the active checks say so */
	FW_SERVER_NOWHERE, /* its name has no address for this place */
	FW_SERVER_STATES
};

/*
 * A server as the proxy last saw it: a row of the map `servers`, for people to look at. One thread
 * of the newest proxy writes them all. Who reads one takes it only if generation is the same, and
 * not 0, before and after.
 */
struct fw_server {
	__u64 generation; /* of the proxy: when it started, CLOCK_MONOTONIC; 0: the row is free */
	__u64 written_ns; /* CLOCK_MONOTONIC */
	__u64 state_ns;   /* when the state last changed; 0: not since the start */
	__u64 latency_ns; /* to the first byte of a response, moving average; 0: none yet */
	__u64 requests;   /* that were sent its way, connections of protocol tcp included */
	__u64 ejections;
	__u64 checks_failed;
	__u64 lookups_failed;     /* of its name; in the row of the first place only */
	__u64 addresses_left_out; /* that its name had beyond its places; in the same */
	struct fw_addr addr;
	__u32 open;   /* connections */
	__u32 active; /* requests */
	__u32 state;  /* enum fw_server_state */
	__u16 port;   /* host order */
	__u8 panic;   /* 1: it is used whatever its state, since too few are up */
	__u8 named;   /* 1: it has a name, and this is one of its places */
	char upstream[FW_NAME_SIZE];
	char server[FW_SERVER_TEXT]; /* as the configuration has it */
};

static inline __u32 fw_counter_index(__u32 service, __u32 verdict)
{
	return service * FW_VERDICTS_MAX + verdict;
}

static inline __u32 fw_setting_index(__u32 service, __u32 setting)
{
	return service * FW_SETTINGS_MAX + setting;
}

/*
 * The board: what the proxy's threads publish, one writer per (worker, service) row, read by anyone
 * through mmap. A row holds a cell per verdict (times the proxy gave it), then a cell per metric
 * (metrics.def).
 */
static inline __u32 fw_board_verdict(__u32 worker, __u32 service, __u32 verdict)
{
	return (worker * FW_SERVICES_MAX + service) * (FW_VERDICTS_MAX + FW_METRICS_MAX) + verdict;
}

static inline __u32 fw_board_metric(__u32 worker, __u32 service, __u32 metric)
{
	return fw_board_verdict(worker, service, FW_VERDICTS_MAX) + metric;
}

static inline int fw_addr_is_v4(const struct fw_addr *addr)
{
	return addr->word[0] == 0 && addr->word[1] == 0 &&
	       addr->word[2] == (__be32)__builtin_bswap32(0x0000ffff);
}

/* Bits of the 128 that count at @level, as in struct fw_prefix. */
static inline __u32 fw_level_length(const struct fw_addr *addr, enum fw_level level)
{
	if (fw_addr_is_v4(addr))
		return level == FW_LEVEL_SOURCE ? 128 : 120;
	return level == FW_LEVEL_SOURCE ? 64 : 48;
}

/* @addr with only those bits. Little-endian hosts only, as is the build. */
static inline struct fw_addr fw_addr_at_level(struct fw_addr addr, enum fw_level level)
{
	if (fw_addr_is_v4(&addr)) {
		if (level == FW_LEVEL_PREFIX)
			addr.word[3] &= (__be32)__builtin_bswap32(0xffffff00);
		return addr;
	}
	addr.word[3] = 0;
	addr.word[2] = 0;
	if (level == FW_LEVEL_PREFIX)
		addr.word[1] &= (__be32)__builtin_bswap32(0xffff0000);
	return addr;
}

/* Where a hash lives in the connection table. @mask is the number of buckets, a power of two, less
 * one. */
static inline __u32 fw_connection_bucket_index(__u64 hash, __u32 mask)
{
	return (__u32)hash & mask;
}

/* The slot word's upper bits; never 0, so that a claimed slot is never mistaken for a free one. */
static inline __u64 fw_connection_fingerprint(__u64 hash)
{
	__u64 fingerprint = hash & ~FW_CONNECTION_COUNT_MASK;

	return fingerprint ? fingerprint : 1ULL << FW_CONNECTION_COUNT_BITS;
}

/* Connections that a bucket holds for @hash. */
static inline __u64 fw_connection_count(const struct fw_connection_bucket *bucket, __u64 hash)
{
	__u64 fingerprint = fw_connection_fingerprint(hash), sum = 0, word;
	int i;

	for (i = 0; i < FW_CONNECTION_SLOTS; i++) {
		word = *(const volatile __u64 *)&bucket->slot[i];
		if ((word & ~FW_CONNECTION_COUNT_MASK) == fingerprint)
			sum += word & FW_CONNECTION_COUNT_MASK;
	}
	return sum;
}

#include "hash.h"
#include "listing.h"
#include "outcast.h"

#endif
