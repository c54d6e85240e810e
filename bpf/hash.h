/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract's keyed hashes: under what both sides keep what they know of an address.
 *
 * All are keyed by a secret, so that nobody outside can aim at where something is kept. Part of
 * floodwall.h, which includes it.
 */
#ifndef FLOODWALL_HASH_H
#define FLOODWALL_HASH_H

#include "floodwall.h"

static inline __u64 fw_network_v6(const struct fw_addr *addr)
{
	return (__u64)(addr->word[1] | (__be32)__builtin_bswap32(0x0000ffff)) << 32 | addr->word[0];
}

/* The prefix that @addr is in, as a number. No two prefixes have the same: in IPv6's the highest 16
 * bits are set, else 2a01:7e00::/48 would be 42.1.126.0/24, and use up what that may have. */
static inline __u64 fw_network(const struct fw_addr *addr)
{
	if (fw_addr_is_v4(addr))
		return addr->word[3] & (__be32)__builtin_bswap32(0xffffff00);
	return fw_network_v6(addr);
}

/* What tells sources of one network apart: 8 bits of an IPv4 address, 16 of an IPv6 one. */
static inline __u32 fw_host(const struct fw_addr *addr)
{
	if (fw_addr_is_v4(addr))
		return addr->word[3] & (__be32)__builtin_bswap32(0x000000ff);
	return addr->word[1] & (__be32)__builtin_bswap32(0x0000ffff);
}

/* The first bit of the map `records` for a network: who finds two that share theirs gains
 * nothing. */
static inline __u32 fw_record_bit(const __u64 seed[2], __u64 network)
{
	return (__u32)((network + seed[0]) * (seed[1] | 1) >> (64 - FW_RECORD_BITS)) & ~1u;
}

static inline __u32 fw_record_word(__u32 half, __u32 bit)
{
	return ((half & 1) << FW_RECORD_BITS | bit) / 64;
}

#define FW_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define FW_SIP_ROUND(a, b, c, d)                                                                   \
	do {                                                                                       \
		a += b;                                                                            \
		c += d;                                                                            \
		b = FW_ROTL(b, 13) ^ a;                                                            \
		d = FW_ROTL(d, 16) ^ c;                                                            \
		a = FW_ROTL(a, 32);                                                                \
		c += b;                                                                            \
		a += d;                                                                            \
		b = FW_ROTL(b, 17) ^ c;                                                            \
		d = FW_ROTL(d, 21) ^ a;                                                            \
		c = FW_ROTL(c, 32);                                                                \
	} while (0)

/* Keyed hash of an address and two numbers: SipHash-1-3 (Aumasson, Bernstein 2012) over three
 * words. Keyed by a secret, so that nobody outside can aim at where something is kept. */
static inline __u64 fw_hash(const __u64 seed[2], const struct fw_addr *addr, __u32 number,
			    __u32 kind)
{
	__u64 v0 = seed[0] ^ 0x736f6d6570736575ULL, v1 = seed[1] ^ 0x646f72616e646f6dULL;
	__u64 v2 = seed[0] ^ 0x6c7967656e657261ULL, v3 = seed[1] ^ 0x7465646279746573ULL;
	__u64 word[3];
	int i;

	word[0] = (__u64)addr->word[1] << 32 | addr->word[0];
	word[1] = (__u64)addr->word[3] << 32 | addr->word[2];
	word[2] = 20ULL << 56 | (__u64)kind << 32 | number; /* 20 bytes went in */
	for (i = 0; i < 3; i++) {
		v3 ^= word[i];
		FW_SIP_ROUND(v0, v1, v2, v3);
		v0 ^= word[i];
	}
	v2 ^= 0xff;
	for (i = 0; i < 3; i++)
		FW_SIP_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

/*
 * Keyed hash of a network and a service: SipHash-1-3 (Aumasson, Bernstein 2012) of the one word
 * that they make (a service has seven bits), without the length that other messages end with. Keyed
 * by a secret, so that nobody outside can aim at a bucket or a cell.
 */
static inline __u64 fw_hash_prefix(const __u64 seed[2], __u64 network, __u32 service)
{
	__u64 v0 = seed[0] ^ 0x736f6d6570736575ULL, v1 = seed[1] ^ 0x646f72616e646f6dULL;
	__u64 v2 = seed[0] ^ 0x6c7967656e657261ULL, v3 = seed[1] ^ 0x7465646279746573ULL;
	__u64 word = network ^ (__u64)service << 56;
	int i;

	v3 ^= word;
	FW_SIP_ROUND(v0, v1, v2, v3);
	v0 ^= word;
	v2 ^= 0xff;
	for (i = 0; i < 3; i++)
		FW_SIP_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

/* The hash of one source, from its network's: moved by what fw_host() says of it and mixed
 * (Stafford's variant 13 of MurmurHash3's finisher). Sources of one network never collide. */
static inline __u64 fw_hash_source(__u64 prefix_hash, __u32 host)
{
	__u64 hash = prefix_hash + (host | 1ULL << 32) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ hash >> 27) * 0x94d049bb133111ebULL;
	return hash ^ hash >> 31;
}

/* Either, by the level: what counts and rates are kept under. */
static inline __u64 fw_hash_at(const __u64 seed[2], const struct fw_addr *addr, __u32 service,
			       enum fw_level level)
{
	__u64 prefix = fw_hash_prefix(seed, fw_network(addr), service);

	return level == FW_LEVEL_PREFIX ? prefix : fw_hash_source(prefix, fw_host(addr));
}

#endif
