/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The noting of what this host asks (bpf/questions.bpf.c) on interfaces, at TC egress: by TCX, or
 * on older kernels by the qdisc clsact, beside whatever else is there.
 *
 * Where neither can be had the filter takes nothing for unsolicited, and the operator is told:
 * nothing here stops the filter.
 */
#ifndef WALL_ATTACH_QUESTIONS_H
#define WALL_ATTACH_QUESTIONS_H

#include "wall/internal.h"

#define WALL_LINK_QUESTIONS WALL_PINS "/link_questions_"

struct questions;

/* Loads the program against the wall's maps. Never NULL but for want of memory; what the kernel
 * refused is said when it is to be attached. */
struct questions *questions_load(struct wall *wall);
void questions_free(struct questions *questions); /* NULL is allowed */

/* Puts it on an interface, or in the place of what ran there, and fills in whether it asks, and why
 * not. *@added: nothing ran there. */
void questions_attach(struct questions *questions, struct wall_interface *interface, bool *added);
void questions_detach(int ifindex);
bool questions_are_noted(int ifindex);

#endif
