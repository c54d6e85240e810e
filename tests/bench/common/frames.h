/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments as Linux sends them, byte by byte. Checksums stay zero: no subject reads them.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stdbool.h>
#include <linux/types.h>

enum { FRAME_SIZE = 128, FRAME_CLIENT_PORT = 40000 };

struct frame {
	unsigned char bytes[FRAME_SIZE];
	unsigned int length;
};

enum frame_kind {
	FRAME_DATA,    /* of an open connection, with timestamps */
	FRAME_SYN,     /* MSS, SACK, timestamps, window scale */
	FRAME_SYN_ECN, /* the same, and asks for ECN */
};

/* Both addresses IPv4 or both IPv6. */
struct frame frame_make(const char *source, const char *server, __u16 port, enum frame_kind kind);
/* What completes the handshake that @syn began and @answer continued. */
struct frame frame_complete(const struct frame *syn, const struct frame *answer);

#endif
