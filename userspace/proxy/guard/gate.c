// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/gate.h"
#include <stdlib.h>
#include "proxy/guard/pacer.h"

struct gate {
	struct pacer *sources;
	_Atomic uint64_t all[FW_SERVICES_MAX];
};

struct gate *gate_create(void)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate && !(gate->sources = pacer_create())) {
		free(gate);
		return NULL;
	}
	return gate;
}

void gate_free(struct gate *gate)
{
	if (gate)
		pacer_free(gate->sources);
	free(gate);
}

enum fw_verdict gate_judge(struct gate *gate, const struct live *live, uint32_t service,
			   const struct fw_addr *source, uint64_t now_ns)
{
	uint64_t each = live->value[FW_SET_SOURCE_HANDSHAKE_RATE];
	uint64_t all = live->value[FW_SET_HANDSHAKE_RATE];

	if (each && pacer_take(gate->sources, source, FW_LEVEL_SOURCE, service,
			       pace_of(each, live->value[FW_SET_SOURCE_HANDSHAKE_BURST]), now_ns))
		return FW_SOURCE_HANDSHAKE_RATE;
	if (all && pacer_take_exactly(&gate->all[service],
				      pace_of(all, live->value[FW_SET_HANDSHAKE_BURST]), now_ns))
		return FW_HANDSHAKE_RATE;
	return FW_NONE;
}
