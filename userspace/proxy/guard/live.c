// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/live.h"
#include "contract/rows.h"

bool live_refresh(struct live *live, const volatile uint64_t *table, uint32_t service)
{
	bool changed = false;

	for (int setting = 0; setting < FW_SETTING_COUNT; setting++) {
		bool host = setting_rows[setting].scope == SCOPE_HOST;
		uint32_t row = host ? FW_HOST_SERVICE : service;
		uint64_t value = setting_clamp(setting, table[fw_setting_index(row, setting)]);

		changed |= value != live->value[setting];
		live->value[setting] = value;
	}
	return changed;
}
