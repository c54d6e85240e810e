/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes, a few at a time: the kernel's own (getrandom), fetched so many at once that the
 * call costs little. For one thread.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised. 256 are what the kernel gives at once, whatever happens meanwhile. */
struct random {
	uint8_t byte[256];
	uint32_t left;
};

/* @length: at most 256. */
void random_fill(struct random *random, void *out, size_t length);

#endif
