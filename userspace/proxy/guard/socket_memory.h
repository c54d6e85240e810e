/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel holds for TCP: the buffers of all sockets of this machine, whose ever they are,
 * of IPv4 and IPv6 and of every network namespace. Beyond a threshold it is under pressure, and
 * then every connection of the machine has smaller buffers; so that is the ceiling, unless another
 * one is set.
 */
#ifndef PROXY_GUARD_SOCKET_MEMORY_H
#define PROXY_GUARD_SOCKET_MEMORY_H

#include <stdatomic.h>
#include <stdint.h>

#define SOCKET_MEMORY_FILE "/proc/net/sockstat"

struct socket_memory {
	int fd;            /* of that file; −1: it can't be read */
	uint64_t page;     /* bytes that it counts as one */
	uint64_t pressure; /* bytes from which the kernel is under pressure */
	atomic_bool told;  /* that the use is not known */
};

/* @path: SOCKET_MEMORY_FILE. What fails is said by the first socket_memory_used(). */
void socket_memory_open(struct socket_memory *memory, const char *path);
void socket_memory_close(struct socket_memory *memory);

/* Bytes in use now; 0: that is not known, which is said in the log once. By any thread, a few times
 * a second: it takes a microsecond. */
uint64_t socket_memory_used(struct socket_memory *memory);

/* Bytes that count as all there are: @wanted, or where that is 0 the kernel's threshold. */
uint64_t socket_memory_most(const struct socket_memory *memory, uint64_t wanted);

#endif
