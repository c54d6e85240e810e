// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/duties/pressure.h"
#include "base/log.h"

static void tell(const char *name, uint64_t stage, uint64_t before)
{
	if (stage > before)
		log_warning("%s: overloaded: stage %llu: %s", name, (unsigned long long)stage,
			    overload_stage_names[stage]);
	else if (stage)
		log_info("%s: overload eases: stage %llu: %s", name, (unsigned long long)stage,
			 overload_stage_names[stage]);
	else
		log_info("%s: no longer overloaded", name);
}

void pressure_follow(struct wall *wall, struct pressure_said *said, uint64_t now_ns)
{
	struct fw_service service;
	struct error error;

	for (uint32_t id = 1; id < FW_SERVICES_MAX; id++) {
		uint64_t stage = wall_board_metric(wall, id, METRIC_OVERLOAD_STAGE);

		if (stage == said->stage[id] && stage < OVERLOAD_EVICT)
			continue;
		if (stage >= OVERLOAD_STAGES || !wall_service(wall, id, &service))
			continue;
		if (stage != said->stage[id])
			tell(service.name, stage, said->stage[id]);
		said->stage[id] = (uint8_t)stage;
		if (stage >= OVERLOAD_EVICT && wall_pressure_raise(wall, id, now_ns, &error) < 0)
			log_error("%s: pressure: %s", service.name, error.text);
	}
}
