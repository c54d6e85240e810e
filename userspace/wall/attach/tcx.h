/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on an interface's TC hooks by TCX (Linux 6.6): one pinned link for each interface and
 * hook, which outlives every process. The program behind it is swapped in one step; when its pin
 * goes, so does the link.
 */
#ifndef WALL_ATTACH_TCX_H
#define WALL_ATTACH_TCX_H

#include "wall/internal.h"

/* enum bpf_attach_type, newer than some hosts' <linux/bpf.h>. */
enum tcx_hook { TCX_INGRESS = 46, TCX_EGRESS = 47 };

/* Puts a program on an interface, or in the place of what ran there by the same @pin, which is the
 * first part of the pins' path. *@added: nothing did. 0 or −errno. */
int tcx_attach(const struct wall *wall, const char *pin, int program, int ifindex,
	       enum tcx_hook hook, bool *added);
void tcx_detach(const char *pin, int ifindex);
bool tcx_is_attached(const char *pin, int ifindex);

#endif
