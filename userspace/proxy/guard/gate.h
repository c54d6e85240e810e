/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast TLS handshakes may begin, asked before they cost anything: of one source, and of all
 * together. All threads and listeners share it.
 *
 * Under overload a source has a part of its rate: connections that have to go come back, each with
 * another handshake, and who comes back that often is not let in at all, nor in anybody's place.
 * The same holds for connections at all, of a source that has several already.
 */
#ifndef PROXY_GUARD_GATE_H
#define PROXY_GUARD_GATE_H

#include <stdbool.h>
#include "floodwall.h"
#include "proxy/guard/live.h"

enum {
	GATE_OVERLOAD_DIVISOR = 16,
	/* Connections of a source that has several. */
	GATE_RETURNS_RATE = 1, /* a second */
	GATE_RETURNS_BURST = 6,
};

struct gate;

struct gate *gate_create(void);    /* NULL: no memory, or no random numbers */
void gate_free(struct gate *gate); /* NULL is allowed */

/* Charges a handshake of @source with @service, whose settings are @live. FW_NONE, or by which rate
 * it comes too early: then it is charged nothing. @source NULL: one that no source's rate is for.
 */
enum fw_verdict gate_judge(struct gate *gate, const struct live *live, uint32_t service,
			   const struct fw_addr *source, bool overloaded, uint64_t now_ns);
/* Under overload: for how many ns the source would be refused from now on; 0: it would not.
 * Nothing is charged. */
uint64_t gate_wait(struct gate *gate, const struct live *live, uint32_t service,
		   const struct fw_addr *source, uint64_t now_ns);

/* A connection of @source has come: charged in good times too, so that it is known who comes often
 * when they end. For how many ns it is too early where somebody else would have to go for it, and
 * then charged nothing; 0: it is not. */
uint64_t gate_connection(struct gate *gate, uint32_t service, const struct fw_addr *source,
			 uint64_t now_ns);

#endif
