/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor: keeps sockets, maps and children, and lets nothing that a child does end it.
 *
 *     SIGHUP           read the configuration again; take it over whole, or keep the running one
 *     SIGTERM, SIGINT  drain and stop; again: stop at once
 *
 * It reads nothing from the network.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/error.h"
#include "config/config.h"
#include "proxy/net/credentials.h"
#include "supervisor/sockets.h"
#include "wall/wall.h"

/* What the daemon holds while it runs. A reload replaces it piece by piece. */
struct holdings {
	struct config *config;
	struct ticket_keys *tickets; /* of every proxy that is or will be */
	struct credentials *credentials;
	struct wall *wall;
	struct sockets sockets;
	int admin; /* listening socket; −1: none */
	int lock;  /* lock_take()'s: no child may keep it */
};

/* Says which settings were tuned live, since a start keeps them. */
void supervisor_report_tuned(struct wall *wall, const struct config *config);

/* Runs until told to stop. 0, or −errno when it could not start. The caller releases what is held
 * in the end. */
int supervisor_run(struct holdings *held, struct error *error);

#endif
