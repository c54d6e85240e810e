/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Admission (bpf/admit.bpf.c) on interfaces: what tier own has beyond the filter. Attached by TCX,
 * whose pinned link outlives every process and is swapped in one step; the kernels that have what
 * admission needs (6.9) have that too (6.6).
 */
#ifndef WALL_ATTACH_ADMIT_H
#define WALL_ATTACH_ADMIT_H

#include "wall/internal.h"

#define WALL_LINK_ADMIT WALL_PINS "/link_admit_"

struct admit;

/* Loads admission against the wall's maps. NULL: @why (of @size) says what the kernel said. */
struct admit *admit_load(struct wall *wall, char *why, size_t size);
void admit_free(struct admit *admit); /* NULL is allowed */

/* Puts it on an interface, or in the place of what ran there. *@added: nothing did. 0 or −errno. */
int admit_attach(struct admit *admit, int ifindex, bool *added);
void admit_detach(int ifindex);
bool admit_is_attached(int ifindex);

#endif
