/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock(2) on the folder of the pins: it lives in the kernel, so a daemon that was killed leaves no
 * stale lock behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "supervisor/lock.h"

int lock_take(const char *pin, struct error *error)
{
	char folder[256] = "";
	const char *slash = strrchr(pin, '/');
	int fd, result;

	if (slash && (size_t)(slash - pin) < sizeof(folder))
		memcpy(folder, pin, (size_t)(slash - pin));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", folder, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	result = errno == EWOULDBLOCK
			 ? error_set(error, -EBUSY,
				     "another floodwalld runs on this filter (it has locked %s); "
				     "reload it instead: systemctl reload floodwalld",
				     folder)
			 : error_set(error, -errno, "%s: flock: %s", folder, strerror(errno));
	close(fd);
	return result;
}
