/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings and rule modes: one word each in a map, in force as soon as it is written.
 *
 * Reading clamps, as the filter and the proxy do, so that what is shown is what is in force.
 */
#include <errno.h>
#include "wall/internal.h"

uint64_t wall_setting(struct wall *wall, uint32_t service, enum fw_setting setting)
{
	return setting_clamp(setting, wall->settings[fw_setting_index(service, setting)]);
}

int wall_set(struct wall *wall, uint32_t service, enum fw_setting setting, uint64_t value,
	     struct error *error)
{
	uint32_t index = fw_setting_index(service, setting);

	if (service >= FW_SERVICES_MAX || value != setting_clamp(setting, value))
		return error_set(error, -ERANGE, "%s: the value is out of range",
				 setting_rows[setting].name);
	return wall_map_update(wall, MAP_SETTINGS, &index, &value, error);
}

const volatile uint64_t *wall_settings_table(struct wall *wall)
{
	return wall->settings;
}

enum fw_mode wall_rule_mode(struct wall *wall, enum fw_verdict verdict)
{
	return wall->modes[verdict] == FW_MODE_MONITOR ? FW_MODE_MONITOR : FW_MODE_ENFORCE;
}

int wall_set_rule_mode(struct wall *wall, enum fw_verdict verdict, enum fw_mode mode,
		       struct error *error)
{
	uint32_t index = verdict;
	uint64_t value = mode;

	if (verdict_rows[verdict].action != FW_ACTION_DROP)
		return error_set(error, -EINVAL,
				 "%s drops nothing in the filter, so it has no monitor mode",
				 verdict_rows[verdict].label);
	return wall_map_update(wall, MAP_MODES, &index, &value, error);
}
