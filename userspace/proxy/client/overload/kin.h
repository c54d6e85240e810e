/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who else is of a client's source, with this thread: at a source's own ceiling nobody but they
 * make room. Clients stand in lists by what their accounts are kept under. A list is of some tens,
 * several sources' among them, which nobody outside can choose: so looking at some of it is enough.
 */
#ifndef PROXY_CLIENT_OVERLOAD_KIN_H
#define PROXY_CLIENT_OVERLOAD_KIN_H

#include "base/list.h"
#include "base/tally.h"

enum { KIN_LISTS = 1 << 10 };

/* Of one thread. */
struct kin {
	struct list list[KIN_LISTS];
};

static inline void kin_init(struct kin *kin)
{
	for (int i = 0; i < KIN_LISTS; i++)
		list_init(&kin->list[i]);
}

/* Where clients of @source stand, by their `kin`. */
static inline struct list *kin_of(struct kin *kin, struct tally_place source)
{
	return &kin->list[source.column[0] % KIN_LISTS];
}

#endif
