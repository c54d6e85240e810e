/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An upstream as all threads see it. Private to this folder.
 */
#ifndef PROXY_UPSTREAM_SHARED_H
#define PROXY_UPSTREAM_SHARED_H

#include <stdatomic.h>
#include "proxy/upstream/balance.h"
#include "proxy/upstream/health.h"

struct upstream_shared {
	const struct config_upstream *config;
	struct balance_plan *plan;
	uint32_t threads;
	uint32_t keep; /* idle links of a thread */
	atomic_uint open;
	_Atomic uint64_t met_cap_ns;
	uint32_t server_count;
	struct health health;
	struct server servers[];
};

#endif
