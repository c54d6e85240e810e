// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/reserve.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

int reserve_init(struct reserve *reserve)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	reserve->limit = limit.rlim_cur;
	reserve->spare = -1;
	reserve_restore(reserve);
	return reserve->spare < 0 ? -errno : 0;
}

void reserve_destroy(struct reserve *reserve)
{
	reserve_lend(reserve);
}

uint64_t reserve_limit(const struct reserve *reserve, uint64_t kept)
{
	return reserve->limit - (kept > reserve->limit / 2 ? reserve->limit / 2 : kept);
}

bool reserve_permits(const struct reserve *reserve, int fd, uint64_t kept)
{
	return (uint64_t)fd < reserve_limit(reserve, kept);
}

uint64_t reserve_used(const struct reserve *reserve)
{
	int lowest = fcntl(reserve->spare, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		return reserve->limit;
	close(lowest);
	return (uint64_t)lowest;
}

int reserve_lower(int fd)
{
	int lowest = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		return fd;
	if (lowest > fd) {
		close(lowest);
		return fd;
	}
	close(fd);
	return lowest;
}

void reserve_lend(struct reserve *reserve)
{
	if (reserve->spare >= 0)
		close(reserve->spare);
	reserve->spare = -1;
}

void reserve_restore(struct reserve *reserve)
{
	/* Any descriptor will do; this kind needs no file. */
	if (reserve->spare < 0)
		reserve->spare = eventfd(0, EFD_CLOEXEC);
}
