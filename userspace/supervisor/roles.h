/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's children: what each does between the fork and its work, which is to let go of
 * whatever is not its own and to enter its sandbox.
 */
#ifndef SUPERVISOR_ROLES_H
#define SUPERVISOR_ROLES_H

#include <stdint.h>

struct child;
struct holdings;
struct supervisor;

/* Starts a generation of the proxy in @child. 0 or −errno. */
int role_start_proxy(struct supervisor *supervisor, struct child *child,
		     const struct holdings *held, uint32_t first_row, uint64_t now_ns);
void role_start_warden(struct supervisor *supervisor, uint64_t now_ns);

#endif
