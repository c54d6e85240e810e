/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "did you mean …?": of the names that there are, the one nearest to a word that is none of them.
 *
 *     struct nearest nearest = nearest_to("stauts");
 *     for (…)
 *             nearest_offer(&nearest, name);
 *     if (nearest.name) …
 *
 * Left out: what a name is, and what is said.
 */
#ifndef FLOODWALL_BASE_NEAREST_H
#define FLOODWALL_BASE_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word;
	const char *name; /* near enough to be a slip of the pen, or NULL; of equals, the first */
	size_t distance;
};

struct nearest nearest_to(const char *word);
void nearest_offer(struct nearest *nearest, const char *name);

#endif
