/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An active check of one server: now and then it is connected to, over TLS if requests are, and, if
 * so configured, asked something, and what comes of it is told to health_checked() after so many in
 * a row. The first check of an address decides alone.
 *
 * A response is read by the same strict parser as any other, into a buffer of a fixed size that is
 * there only as long as the check. Left out: what follows from it.
 */
#ifndef PROXY_UPSTREAM_CARE_HEALTH_CHECK_H
#define PROXY_UPSTREAM_CARE_HEALTH_CHECK_H

#include "proxy/net/stream.h"
#include "proxy/upstream/server/health.h"

/* Checks in a row. */
struct health_streak {
	uint32_t good, bad;
	bool decided; /* one has been, of this address */
};

enum health_change { HEALTH_STAYS, HEALTH_RISES, HEALTH_FALLS };

/* What follows from one more check of a server that so far counts as @healthy: pure. */
enum health_change health_streak_note(struct health_streak *streak, bool good, bool healthy,
				      const struct config_health *config);

struct health_dialogue;
struct tls_engine;

struct health_check {
	struct server *server;
	const struct config_upstream *config;
	struct loop *loop;
	struct tls_engine *tls; /* the loop's */
	struct timer timer;     /* of the next check, or of the end of this one */
	struct stream stream;
	struct health_dialogue *dialogue; /* NULL: nothing is being read or written */
	bool running;
	unsigned int version; /* of the server's address: another one is another server */
	struct health_streak streak;
};

/* @check is zeroed. Begins within a moment, so that not all are asked at once. @tls: NULL, if no
 * server has it. */
void health_check_start(struct health_check *check, struct loop *loop, struct tls_engine *tls,
			struct server *server, const struct config_upstream *config);
/* The server is somewhere else now: asks at once. */
void health_check_hasten(struct health_check *check);
void health_check_stop(struct health_check *check);

#endif
