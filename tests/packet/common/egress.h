/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real program at TC egress, on the maps of a filter: what leaves tells the filter something.
 */
#ifndef PACKET_EGRESS_H
#define PACKET_EGRESS_H

#include "family.h"
#include "filter.h"

enum { EGRESS_LO = 1 }; /* by which everything leaves */

struct questions_bpf;

struct questions_bpf *egress_open(struct filter *filter);
void egress_close(struct questions_bpf *egress);

/* What becomes of the packet, as it is, on its way out: a TC action. @ingress: the interface that
 * it came in by; 0: it is of this host. */
int egress_fate(struct questions_bpf *egress, uint32_t ingress, const struct frame *packet);

/* The last that a service says on a connection with the family's client: it goes so many hops far.
 * With timestamps, where both ends do them, or without. */
struct frame egress_last_word(const struct family *family, uint16_t client_port, uint8_t flags,
			      uint8_t hops, bool stamps);

#endif
