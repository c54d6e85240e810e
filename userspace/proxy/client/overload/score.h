/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How bad it is to wait for a client: the time for which the proxy has been waiting for him, in
 * milliseconds, times
 *
 *     8  he has been turned away and is still there
 *     4  he has not completed a request yet
 *     2  he has, but is slow: with the next one's head, its body, or reading the answer
 *     1  he has, and is idle
 *
 * times one more than the logarithm of how many connections his prefix has (IPv4 /24, IPv6 /48). A
 * body that moves pays its waiting off (guard/rate.h), never ahead. Who waits for a server, or has
 * said something that we have not read yet, has a score of 0.
 */
#ifndef PROXY_CLIENT_OVERLOAD_SCORE_H
#define PROXY_CLIENT_OVERLOAD_SCORE_H

#include "proxy/client/client.h"

/* 0: it is he who waits. */
uint64_t score_client(const struct client *client, uint64_t now_ns);
/* The same, once the kernel was asked for what he has sent and taken meanwhile. */
uint64_t score_client_in_full(struct client *client, uint64_t now_ns);
/* Of somebody from @source who is about to come. */
uint64_t score_newcomer(const struct listener *listener, const struct fw_addr *source);
/* What that is where nobody is crowded: the least. */
uint64_t score_least_newcomer(void);

/* What he was waited for has come: it is he who waits now. Asks the kernel. */
bool score_has_spoken(const struct client *client);

#endif
