/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The caretaker: a thread of the proxy that looks after the servers of all upstreams, so that it
 * goes on while the others are under attack and never costs one of them a turn. It does the active
 * checks, keeps the names of servers resolved, compares latencies, and shows what is known.
 *
 * It touches nothing of the other threads but the words in struct server. What it finds out once a
 * proxy drains is of no more use: it ends then.
 */
#ifndef PROXY_UPSTREAM_CARE_CARETAKER_H
#define PROXY_UPSTREAM_CARE_CARETAKER_H

#include "base/error.h"
#include "proxy/upstream/upstream.h"

struct caretaker;

/*
 * @upstreams: of @config, and outlive it, as does @shown (FW_SERVERS_MAX rows). Waits until the
 * names of all servers are resolved, or for a second at most: who serves then can reach them.
 * 0, or −errno with @error.
 */
int caretaker_create(const struct config *config, struct upstream_shared **upstreams,
		     volatile struct fw_server *shown, struct caretaker **caretaker,
		     struct error *error);
/* Starts the thread. 0 or −errno. */
int caretaker_start(struct caretaker *caretaker);
/* Ends the thread, if it was started, and frees; NULL is allowed. */
void caretaker_free(struct caretaker *caretaker);

#endif
