/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs in the kernel, for the wall's own files that put others in their place. */
#ifndef WALL_ATTACH_PROGRAMS_H
#define WALL_ATTACH_PROGRAMS_H

#include "wall/internal.h"

/*
 * Whether @running may stay where it is, since @loaded, which was to take its place, is the same:
 * the same instructions (by the kernel's tag, which leaves out which maps are used) and the same
 * constants. Only wall_upgrade() lets programs stay.
 */
bool program_stays(const struct wall *wall, int running, int loaded);
/* The same for what runs by a link. */
bool link_stays(const struct wall *wall, int link, int loaded);

#endif
