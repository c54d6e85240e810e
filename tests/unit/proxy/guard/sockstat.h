/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that says what /proc/net/sockstat would, for tests of what comes of it. */
#ifndef TESTS_GUARD_SOCKSTAT_H
#define TESTS_GUARD_SOCKSTAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "proxy/guard/socket_memory.h"

static char sockstat_path[] = "/tmp/floodwall-sockstat-XXXXXX";

/* Makes the file, empty, and has @memory read it. 0, or −1. */
static inline int sockstat_open(struct socket_memory *memory)
{
	int fd;

	memcpy(sockstat_path + sizeof(sockstat_path) - 7, "XXXXXX", 6);
	fd = mkstemp(sockstat_path);
	if (fd < 0)
		return -1;
	close(fd);
	socket_memory_open(memory, sockstat_path);
	return 0;
}

static inline int sockstat_close(struct socket_memory *memory)
{
	socket_memory_close(memory);
	return unlink(sockstat_path);
}

/* The kernel says this now. */
static inline void sockstat_say(const char *text)
{
	FILE *file = fopen(sockstat_path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

#endif
