/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine: what defaults are parts of. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stdint.h>
#include <unistd.h>

/* Of a page of memory, in bytes. */
static inline uint64_t machine_page(void)
{
	long size = sysconf(_SC_PAGESIZE);

	return size > 0 ? (uint64_t)size : 4096;
}

/* Bytes of memory; a gigabyte, should nobody know. */
static inline uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	return pages > 0 ? (uint64_t)pages * machine_page() : 1ULL << 30;
}

#endif
