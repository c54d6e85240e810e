// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/socket_memory.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/machine.h"
#include "base/sysctl.h"

/* Of all memory: what net.ipv4.tcp_mem is of itself. Inside a network namespace other than the
 * first that is hidden. */
#define PRESSURE_SHARE 16

enum { PRESSURE_WORD = 1 }; /* of the three: ends, begins, the most there is */

void socket_memory_open(struct socket_memory *memory, const char *path)
{
	memory->fd = open(path, O_RDONLY | O_CLOEXEC);
	memory->page = machine_page();
	memory->pressure = sysctl_number("net.ipv4.tcp_mem", PRESSURE_WORD,
					 machine_memory() / PRESSURE_SHARE / memory->page) *
			   memory->page;
	atomic_init(&memory->told, false);
}

void socket_memory_close(struct socket_memory *memory)
{
	if (memory->fd >= 0)
		close(memory->fd);
	memory->fd = -1;
}

/* What IPv6 has is part of it: a line of its own (in another file) says no more than how many. */
static bool parse(const char *text, unsigned long *pages)
{
	const char *line = strstr(text, "TCP: ");

	return line &&
	       sscanf(line, "TCP: inuse %*u orphan %*u tw %*u alloc %*u mem %lu", pages) == 1;
}

uint64_t socket_memory_used(struct socket_memory *memory)
{
	char text[512];
	ssize_t length = memory->fd < 0 ? -1 : pread(memory->fd, text, sizeof(text) - 1, 0);
	unsigned long pages;

	text[length > 0 ? length : 0] = '\0';
	if (parse(text, &pages))
		return pages * memory->page;
	if (!atomic_exchange(&memory->told, true))
		log_warning("%s does not say what the kernel's TCP sockets hold: "
			    "host.socket_memory is without effect",
			    SOCKET_MEMORY_FILE);
	return 0;
}

uint64_t socket_memory_most(const struct socket_memory *memory, uint64_t wanted)
{
	return wanted ? wanted : memory->pressure;
}
