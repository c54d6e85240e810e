// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/gate.h"
#include <stdlib.h>
#include "proxy/guard/pacer.h"

struct gate {
	struct pacer *sources;     /* their handshakes … */
	struct pacer *connections; /* … and connections */
	_Atomic uint64_t all[FW_SERVICES_MAX];
};

struct gate *gate_create(void)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->sources = pacer_create();
	gate->connections = pacer_create();
	if (gate->sources && gate->connections)
		return gate;
	gate_free(gate);
	return NULL;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	pacer_free(gate->sources);
	pacer_free(gate->connections);
	free(gate);
}

static uint64_t part_of(uint64_t number)
{
	return number > GATE_OVERLOAD_DIVISOR ? number / GATE_OVERLOAD_DIVISOR : 1;
}

/* Of a source that has one (rate not 0). */
static struct pace pace_of_source(const struct live *live, bool overloaded)
{
	uint64_t rate = live->value[FW_SET_SOURCE_HANDSHAKE_RATE];
	uint64_t burst = live->value[FW_SET_SOURCE_HANDSHAKE_BURST];

	return overloaded ? pace_of(part_of(rate), part_of(burst)) : pace_of(rate, burst);
}

enum fw_verdict gate_judge(struct gate *gate, const struct live *live, uint32_t service,
			   const struct fw_addr *source, bool overloaded, uint64_t now_ns)
{
	uint64_t all = live->value[FW_SET_HANDSHAKE_RATE];

	if (source && live->value[FW_SET_SOURCE_HANDSHAKE_RATE] &&
	    pacer_take(gate->sources, source, FW_LEVEL_SOURCE, service,
		       pace_of_source(live, overloaded), now_ns))
		return FW_SOURCE_HANDSHAKE_RATE;
	if (all && pacer_take_exactly(&gate->all[service],
				      pace_of(all, live->value[FW_SET_HANDSHAKE_BURST]), now_ns))
		return FW_HANDSHAKE_RATE;
	return FW_NONE;
}

uint64_t gate_wait(struct gate *gate, const struct live *live, uint32_t service,
		   const struct fw_addr *source, uint64_t now_ns)
{
	if (!live->value[FW_SET_SOURCE_HANDSHAKE_RATE])
		return 0;
	return pacer_wait(gate->sources, source, FW_LEVEL_SOURCE, service,
			  pace_of_source(live, true), now_ns);
}

uint64_t gate_connection(struct gate *gate, uint32_t service, const struct fw_addr *source,
			 uint64_t now_ns)
{
	return pacer_take(gate->connections, source, FW_LEVEL_SOURCE, service,
			  pace_of(GATE_RETURNS_RATE, GATE_RETURNS_BURST), now_ns);
}
