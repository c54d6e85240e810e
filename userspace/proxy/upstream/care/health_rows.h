/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of servers, shown in the map `servers`.
 *
 * While two generations of the proxy live, the newer one writes: it takes the rows over, with what
 * their servers had been counted before, and the older one notices and leaves them alone, unless
 * nobody writes them any more.
 */
#ifndef PROXY_UPSTREAM_CARE_HEALTH_ROWS_H
#define PROXY_UPSTREAM_CARE_HEALTH_ROWS_H

#include "proxy/upstream/server/health.h"

/* Of a name, which only its first place's row tells. */
struct health_name_row {
	uint64_t lookups_failed, left_out;
};

/* What a row needs besides its server. */
struct health_row {
	const struct server *server;
	const struct health_name_row *name; /* NULL: not of the first place of a name */
	/* Counted by generations before this one. */
	uint64_t requests, ejections, checks_failed, lookups_failed;
	uint64_t state_ns;
	uint32_t state; /* as it was last shown */
};

struct health_rows {
	volatile struct fw_server *shown; /* FW_SERVERS_MAX */
	uint64_t generation;              /* not 0 */
	struct health_row *rows;
	uint32_t count;
	bool opened; /* once before: what others counted was taken over then */
};

/* How the server is at that moment. */
enum fw_server_state health_state(const struct server *server, uint64_t now_ns);

/* Takes the rows over: rows[0..count) have their server and name set; at most FW_SERVERS_MAX. */
void health_rows_open(struct health_rows *rows, uint64_t now_ns);
void health_rows_show(struct health_rows *rows, uint64_t now_ns);
/* Clears them, if they are ours still. */
void health_rows_close(struct health_rows *rows);

#endif
