/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock(2) on a folder beside that of the pins, "…/floodwalld": the pins' own is what the wall
 * locks for each edit. A lock lives in the kernel, so a daemon that was killed leaves none behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "supervisor/lock.h"

int lock_take(const char *pin, struct error *error)
{
	const char *slash = strrchr(pin, '/');
	char folder[256];
	int fd, result;

	snprintf(folder, sizeof(folder), "%.*sd", slash ? (int)(slash - pin) : 0, pin);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return error_set(error, -errno, "%s: %s", folder, strerror(errno));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", folder, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	result = errno == EWOULDBLOCK
			 ? error_set(error, -EBUSY,
				     "another floodwalld runs on this filter (it has locked %s); "
				     "reload it instead: floodwall reload",
				     folder)
			 : error_set(error, -errno, "%s: flock: %s", folder, strerror(errno));
	close(fd);
	return result;
}
