/* SPDX-License-Identifier: BSD-2-Clause */
/* Redirects and fixed responses: what a route answers without asking anybody. */
#ifndef PROXY_CLIENT_ROUTE_ROUTE_ANSWER_H
#define PROXY_CLIENT_ROUTE_ROUTE_ANSWER_H

#include "proxy/client/exchange/exchange.h"

/* Answers the request whose head was read at @data: the exchange is then `answered`, its response
 * complete. FW_NONE; or why that can't be. */
enum fw_verdict route_answer(struct exchange *exchange, const char *data);

#endif
