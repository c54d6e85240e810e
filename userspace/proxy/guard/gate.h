/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast TLS handshakes may begin, asked before they cost anything: of one source, and of all
 * together. All threads and listeners share it.
 */
#ifndef PROXY_GUARD_GATE_H
#define PROXY_GUARD_GATE_H

#include "floodwall.h"
#include "proxy/guard/live.h"

struct gate;

struct gate *gate_create(void);    /* NULL: no memory, or no random numbers */
void gate_free(struct gate *gate); /* NULL is allowed */

/* Charges a handshake of @source with @service, whose settings are @live. FW_NONE, or by which rate
 * it comes too early: then it is charged nothing. */
enum fw_verdict gate_judge(struct gate *gate, const struct live *live, uint32_t service,
			   const struct fw_addr *source, uint64_t now_ns);

#endif
