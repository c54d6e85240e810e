// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/admission/standing.h"
#include "proxy/client/admission/balancer.h"
#include "proxy/client/admission/source_limit.h"
#include "wall/wall.h"

bool standing_is_exempt(const struct listener *listener, const struct fw_addr *source)
{
	return balancer_is_one(listener->config, source) ||
	       source_is_exempt(listener->config, source);
}

bool standing_is_allowed(const struct listener *listener, const struct fw_addr *source)
{
	/* The kernel counts none of its connections. */
	return !wall_connections(listener->worker->shared->options->wall, source, listener->service,
				 FW_LEVEL_SOURCE);
}

unsigned int standing_level(const struct listener *listener, const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;
	uint64_t hash;

	if (standing_is_exempt(listener, source))
		return 0;
	hash = crowd_source(worker->shared->crowd, source, listener->service);
	return usage_level(worker->usage, tally_place(hash), worker->loop.now_ns);
}

uint64_t standing_connections(const struct listener *listener, const struct fw_addr *source)
{
	return crowd_size_of_source(listener->worker->shared->crowd, source, listener->service);
}

/* Our count knows only who has been let in, but may be too high. The kernel's has this one, too,
 * others that come with it, and none of sources on the allow list. */
bool standing_has_another(const struct listener *listener, const struct fw_addr *source)
{
	return standing_connections(listener, source) &&
	       wall_connections(listener->worker->shared->options->wall, source, listener->service,
				FW_LEVEL_SOURCE) != 1;
}

/* A quarter of a fault makes nobody wait: behind one address somebody may have had a request or two
 * refused for their form. Nothing is asked of sources on the allow list. */
bool standing_has_faults(const struct listener *listener, const struct fw_addr *source)
{
	const struct worker *worker = listener->worker;
	uint64_t borne_ns = live_ns(&listener->live, FW_SET_SOURCE_FAULT_TIME) / 4;

	return listener->live.value[FW_SET_SOURCE_FAULTS] &&
	       conduct_has_faults(worker->shared->conduct, source, listener->service,
				  worker->loop.now_ns + borne_ns) &&
	       !standing_is_allowed(listener, source);
}
