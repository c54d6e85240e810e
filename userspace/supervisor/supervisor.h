/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor: keeps sockets, maps and children, and lets nothing that a child does end it.
 *
 *     SIGHUP           read the configuration again; take it over whole, or keep the running one
 *     SIGUSR2          the same, by the program that is installed now
 *     SIGTERM, SIGINT  drain and stop; again: stop at once
 *
 * floodwall reload asks for the first two and is told how it went. Nothing is read from the
 * network.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/error.h"
#include "config/config.h"
#include "proxy/net/tls/credentials/credentials.h"
#include "supervisor/sockets/sockets.h"
#include "wall/wall.h"

/* What the daemon holds while it runs, and hands to the children that it starts. A reload prepares
 * the next and takes it over as a whole. */
struct holdings {
	struct config *config;
	struct ticket_keys *tickets; /* of every proxy that is or will be */
	struct credentials *credentials;
	struct wall *wall;
	struct sockets sockets;
	struct sockets received; /* handed to this process; in use or not */
	int admin;               /* listening socket; −1: none */
	int access_log;          /* descriptor; −1: none is written */
	int lock;                /* lock_take()'s: no child may keep it */
};

struct handover;

/*
 * Runs until told to stop; @before: whose place it takes, or NULL. 0, or −errno when it could not
 * start: then nothing of @before has changed. The caller releases what is held in the end.
 */
int supervisor_run(struct holdings *held, struct handover *before, struct error *error);

#endif
