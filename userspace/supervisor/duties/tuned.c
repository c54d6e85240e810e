// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/duties/tuned.h"
#include "base/log.h"

void tuned_report(struct wall *wall, const struct config *config)
{
	char live[32], file[32];

	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *service = &config->services[i];
		int id = wall_service_find(wall, service->name, NULL);

		for (int s = 0; id >= 0 && s < FW_SETTING_COUNT; s++) {
			const struct setting_row *row = &setting_rows[s];
			uint64_t value = wall_setting(wall, (uint32_t)id, s);

			if (row->scope == SCOPE_HOST || value == service->settings[s] ||
			    (row->scope == SCOPE_LISTENER && service->kind != FW_SERVICE_LISTENER))
				continue;
			log_info("%s.%s is %s live and %s in the file: kept; a reload takes the "
				 "file's",
				 service->name, row->name,
				 setting_format(row, value, live, sizeof(live)),
				 setting_format(row, service->settings[s], file, sizeof(file)));
		}
	}
}
