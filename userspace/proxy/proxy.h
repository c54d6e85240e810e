/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy process as the supervisor sees it: sockets in, traffic served, a return when drained.
 * The two talk in orders (contract/order.h).
 *
 * Its configuration never changes during its life: a reload starts another proxy on the same
 * sockets and drains this one. What is live (settings.def) it reads from the wall's maps.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "config/config.h"
#include "proxy/net/tls/credentials/credentials.h"
#include "wall/wall.h"

/* A bound and listening socket of one worker (SO_REUSEPORT: each worker has its own). */
struct proxy_socket {
	int fd; /* non-blocking; the proxy closes it when it drains */
	uint32_t worker;
	const struct config_service *listener; /* whose binding it serves */
	uint32_t service;                      /* the listener's service id in the maps */
};

struct proxy_options {
	const struct config *config;           /* config->threads workers */
	const struct credentials *credentials; /* of that configuration */
	struct wall *wall;                     /* opened before privileges were dropped */
	const struct proxy_socket *sockets;
	size_t socket_count;
	uint32_t worker_base; /* worker n writes row worker_base + n of the board: two generations
				 that live at once never share a row */
	int access_log;       /* descriptor; −1: no access log */
	int control;          /* end of a pair; the supervisor has the other */
};

/*
 * Serves until told to drain and the last connection ended or the time given for that passed; who
 * is left then is cut off. When the supervisor is gone it serves for a few seconds more, so that
 * there is somebody until the next one has come, and drains then. Blocks. Called in the proxy's own
 * process, once. 0, or −errno when it could not start.
 */
int proxy_run(const struct proxy_options *options, struct error *error);

#endif
