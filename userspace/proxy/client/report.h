/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happened, told: on the board, where every one counts, and in the log, where refusals are
 * sampled. A refusal that no access log takes goes to the process's own log.
 */
#ifndef PROXY_CLIENT_REPORT_H
#define PROXY_CLIENT_REPORT_H

#include "proxy/client/client.h"

/* A connection that was not admitted. */
void report_turned_away(struct listener *listener, const struct fw_addr *source, uint16_t port,
			enum fw_verdict verdict);
/* A request, answered with @status (0: not at all), for @verdict (FW_NONE: as it should be).
 * @exchange: NULL if it never was one. */
void report_request(struct client *client, const struct exchange *exchange, int status,
		    enum fw_verdict verdict);
/* The client's connection has ended for @verdict; a relayed one gets its line. */
void report_end(struct client *client, enum fw_verdict verdict);
/* Refusals kept back since their second is over, as numbers. About once a second. */
void report_suppressed(struct listener *listener);

#endif
