/* SPDX-License-Identifier: BSD-2-Clause */
/* Pressure, as the filter has written it down. */
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
