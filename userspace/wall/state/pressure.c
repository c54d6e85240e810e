/* SPDX-License-Identifier: BSD-2-Clause */
/* Pressure: as the filter has written it down, and raised for it. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "wall/internal.h"

bool wall_pressure(struct wall *wall, uint32_t service, uint64_t now_ns, uint64_t *left_ns)
{
	struct fw_pressure row;

	*left_ns = 0;
	if (wall_setting(wall, service, FW_SET_CHALLENGE_MODE) == FW_CHALLENGE_NEVER ||
	    wall_map_lookup(wall, MAP_PRESSURE, &service, &row, NULL) < 0 || row.until_ns <= now_ns)
		return false;
	*left_ns = row.until_ns - now_ns;
	return true;
}

static void extend(__u64 *until_ns, uint64_t to_ns)
{
	_Atomic uint64_t *until = (_Atomic uint64_t *)until_ns;
	uint64_t was = atomic_load(until);

	while (was < to_ns && !atomic_compare_exchange_weak(until, &was, to_ns))
		;
}

/* The rest of a row is the filter's, which writes it meanwhile: no update of whole rows. */
int wall_pressure_raise(struct wall *wall, uint32_t service, uint64_t now_ns, struct error *error)
{
	uint64_t hold_ns = wall_setting(wall, service, FW_SET_CHALLENGE_HOLD) * CLOCK_MS;
	struct fw_pressure *rows = wall_map_writable(wall, MAP_PRESSURE, error);
	struct fw_meta *meta;

	if (!rows)
		return -EIO;
	extend(&rows[service].until_ns, now_ns + hold_ns);
	munmap(rows, wall->maps[MAP_PRESSURE].size);
	meta = wall_map_writable(wall, MAP_META, error);
	if (!meta)
		return -EIO;
	extend(&meta->segments_ns, now_ns + hold_ns);
	munmap(meta, wall->maps[MAP_META].size);
	return 0;
}
