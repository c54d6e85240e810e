/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What servers are told of the time that a request has (`forwarding { deadline }`): a field with
 * the milliseconds in which its answer is to begin.
 *
 * The field is blank when the head is written, and filled in each time that the head begins to be
 * sent, so that a retry, a hedge, and who has waited for a server say what is true then. What came
 * in it goes to no server; a trusted peer's is kept to (deadline.c), so that a deadline holds all
 * the way down.
 */
#ifndef PROXY_CLIENT_ROUTE_TIME_LEFT_H
#define PROXY_CLIENT_ROUTE_TIME_LEFT_H

#include "proxy/client/exchange/exchange.h"

enum {
	TIME_LEFT_DIGITS = 8, /* a day has no more milliseconds */
	TIME_LEFT_LINE_MAX = CONFIG_DEADLINE_NAME_MAX + 2 + TIME_LEFT_DIGITS + 2,
};

/* Notes what a trusted peer says in the head that was read, at @data. */
void time_left_hear(struct exchange *exchange, const char *data);
/* Writes the line, blank; bytes: none, if nobody is to be told. */
uint32_t time_left_write(const struct exchange *exchange, char out[TIME_LEFT_LINE_MAX]);
/* Fills it in, in to_server. */
void time_left_tell(struct exchange *exchange);

#endif
