/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The warden process: faces operators (/metrics, /healthz, /events) and keeps the lists tidy. It
 * only reads what filter and proxy write; a slow scrape never costs a client anything.
 */
#ifndef WARDEN_WARDEN_H
#define WARDEN_WARDEN_H

#include "base/error.h"
#include "warden/roster.h"
#include "wall/wall.h"

struct warden_options {
	struct wall *wall; /* opened before privileges were dropped */
	const struct roster *roster;
	int listener; /* listening socket of the admin address; −1: none */
	int control;  /* a byte 'd', or end of file, from the supervisor: leave */
};

/* Serves until told to leave. Blocks. Called in the warden's own process, once. 0, or −errno when
 * it could not start. */
int warden_run(const struct warden_options *options, struct error *error);

#endif
