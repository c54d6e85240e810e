/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash without a secret: of the same bytes it is the same on every host and in every generation
 * of a process. For spreading what need not be kept from anybody; what an attacker could aim at
 * takes the contract's keyed hashes (bpf/hash.h).
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Every bit of @value has its say in every bit of the result (the finalizer of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t value)
{
	value = (value ^ value >> 33) * 0xff51afd7ed558ccdULL;
	value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return value ^ value >> 33;
}

/* FNV-1a, mixed. */
static inline uint64_t hash_bytes(const void *bytes, size_t length)
{
	const unsigned char *byte = bytes;
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	return hash_mix(hash);
}

#endif
