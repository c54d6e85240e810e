/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a source may ask of a listener: how fast (guard/quota.h), and how much at once, over all its
 * connections with all threads. The second is what an HTTP/2 client could multiply its connections
 * by.
 */
#ifndef PROXY_CLIENT_ADMISSION_SOURCE_LIMIT_H
#define PROXY_CLIENT_ADMISSION_SOURCE_LIMIT_H

#include "proxy/client/exchange/exchange.h"

/* Whether no rate of a source holds for it on that listener: a monitor, or who is in front. */
bool source_is_exempt(const struct config_service *listener, const struct fw_addr *source);

/* A request's head is complete. FW_NONE, and it counts until source_limit_leave(); or why it is
 * refused, and when to come again in exchange->wait_s. */
enum fw_verdict source_limit_judge(struct exchange *exchange);
/* The request is over. No effect on one that does not count. */
void source_limit_leave(struct exchange *exchange);

#endif
