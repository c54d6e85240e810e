// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/reserve.h"
#include <errno.h>
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

bool reserve_permits(const struct reserve *reserve, int fd, uint64_t kept)
{
	if (kept > reserve->limit / 2)
		kept = reserve->limit / 2;
	return (uint64_t)fd < reserve->limit - kept;
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
