/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this host's sysctls let a SYN cookie offer to a client. It stands beside the secret, since
 * hosts that share the one must agree on the other, and an operator may change it at any time.
 */
#ifndef WALL_POLICY_OFFERS_H
#define WALL_POLICY_OFFERS_H

#include "wall/internal.h"

/* A bit for each enum fw_offer. */
uint32_t offers_bits(void);
/* The window scale of the sockets. */
uint32_t offers_window_scale(void);

#endif
