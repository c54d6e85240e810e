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

#endif
