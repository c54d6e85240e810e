/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tier: how the filter may answer in a server's place. Chosen for each interface, from what the
 * kernel has, what its sysctls allow, and what the operator wants.
 *
 * Left to itself it lowers what it can't have, and says why: nothing here stops the filter. Only a
 * tier that was asked for by name is had or refused.
 */
#ifndef WALL_ATTACH_TIER_H
#define WALL_ATTACH_TIER_H

#include "wall/internal.h"

struct tiers {
	int wanted;          /* enum fw_tier, or WALL_BEST_TIER */
	struct admit *admit; /* NULL: no tier own */
	bool has_kernel;
	char own_lacks[WALL_WHY_SIZE], kernel_lacks[WALL_WHY_SIZE];
};

/* What can be had here. −ENOTSUP: not what is wanted. tiers_end() after either. */
int tiers_begin(struct wall *wall, int wanted, struct tiers *tiers, struct error *error);
void tiers_end(struct tiers *tiers);

/* Chooses the interface's tier, and puts admission there if that needs it (*@admits: it was not
 * there). −errno: not what is wanted. */
int tiers_choose(const struct tiers *tiers, struct wall_interface *interface, bool *admits,
		 struct error *error);

/* The tier that a loaded filter was made for; −1: it can't be told. */
int tier_of_program(int program);

#endif
