/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client is allowed to keep us waiting for. Deadlines are computed from when things began
 * and the settings as they are now, never stored, so that an edit counts for everyone at once.
 */
#ifndef PROXY_CLIENT_DEADLINE_H
#define PROXY_CLIENT_DEADLINE_H

#include "proxy/client/client.h"

/* The reason for which the client's time is up at @now_ns; FW_NONE: it is not, and *@next_ns is
 * when to look again. */
enum fw_verdict deadline_judge(const struct client *client, uint64_t now_ns, uint64_t *next_ns);

/* The same for one of several requests. */
enum fw_verdict deadline_judge_exchange(const struct exchange *exchange, uint64_t now_ns,
					uint64_t *next_ns);

/* Milliseconds, at least one, that a server which is asked now has to begin its answer. */
uint32_t deadline_left_ms(const struct exchange *exchange, uint64_t now_ns);

/* Milliseconds in which a client has to take some of what waits for him. */
uint32_t deadline_to_take_ms(const struct client *client);

/* Looks how much of the response the client has taken. */
void deadline_look(struct exchange *exchange, uint64_t now_ns);

/* Starts and stops the clocks of both rates, as the exchange now waits. */
void deadline_note_waits(struct exchange *exchange, uint64_t now_ns);

#endif
