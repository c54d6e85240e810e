/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a connection's end means to its source (guard/conduct.h), and what a source's record means
 * to its next connection: while it is kept out it is reset as soon as it is accepted, in nobody's
 * place. But mostly it does not come so far: as soon as it has too many faults the filter is asked
 * to keep it out, which costs a fraction: a SYN that is dropped comes again a second later, who is
 * reset comes at once.
 *
 * Sources on the allow list are exempt, and rules in monitor mode are respected.
 */
#ifndef PROXY_CLIENT_ADMISSION_FAULT_H
#define PROXY_CLIENT_ADMISSION_FAULT_H

#include "proxy/client/client.h"

/* The client was turned away, or one of his requests, for @verdict: it may be a fault. */
void fault_note(struct client *client, enum fw_verdict verdict);

/* His connection ends for @verdict, which nobody was told of before. */
void fault_close(const struct client *client, enum fw_verdict verdict);

/* FW_SOURCE_CONDUCT: @source is kept out. */
enum fw_verdict fault_judge(const struct listener *listener, const struct fw_addr *source);

/* Whether a client whom a balancer names is kept out. */
bool fault_keeps_out(const struct listener *listener, const struct fw_addr *source);

/* Whether sources are kept out at all, and not only counted (monitor mode). */
bool fault_is_enforced(const struct listener *listener);

/* A source whose connections are refused until then for another reason: the filter may do it. */
void fault_complain(const struct listener *listener, const struct fw_addr *source,
		    uint64_t until_ns);

#endif
