/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How loaded a thread and its listeners are: measured a few times a second, published on the board,
 * and acted upon where that is not each connection's own business.
 */
#ifndef PROXY_CLIENT_OVERLOAD_LOAD_H
#define PROXY_CLIENT_OVERLOAD_LOAD_H

#include "proxy/client/worker.h"

/* Measures everything, and moves the stages of overload. */
void load_measure(struct worker *worker);

/*
 * Whether a connection may go on after a response, and be idle for as long as is set. Under
 * overload only while memory suffices, and those who are not idle are not too many: whoever comes
 * takes the place of somebody idle, who costs nothing, while one who is closed comes back at once,
 * by the same queue.
 */
bool load_spares_idle(const struct listener *listener);

/* Whether a newcomer has to take the place of somebody: there is no other, or in stage 3, while
 * that is what is called for by the connections that there are now. */
bool load_lacks_room(const struct listener *listener);

#endif
