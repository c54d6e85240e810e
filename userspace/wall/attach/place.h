/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface, and what runs on it. A program is ours if it uses one of our maps. Private to
 * wall/.
 */
#ifndef WALL_ATTACH_PLACE_H
#define WALL_ATTACH_PLACE_H

#include <xdp/libxdp.h>
#include "wall/pins.h"
#include "wall/wall.h"

struct filter_bpf;

/* An interface, what it had before, and what was done to it. */
struct place {
	struct wall_interface *interface;
	struct xdp_multiprog *before; /* NULL: nothing ran */
	struct xdp_program *ours;     /* among those before; NULL: not yet there */
	bool alone;                   /* ours, without a dispatcher */
	enum xdp_attach_mode mode_before;

	struct filter_bpf *skeleton;
	struct xdp_program *added;
	enum xdp_attach_mode mode;
	bool moved;  /* ours was taken away to make room for another mode */
	bool admits; /* admission was put there anew */
	bool asks;   /* and the noting of questions */
};

/* For people: "native". */
const char *place_mode(enum xdp_attach_mode mode);

/* Finds the interface by its name. −ENODEV. */
int place_find(struct wall_interface *interface, struct error *error);

/* What runs on the interface, and whether ours is among it. −EBUSY: a program that does not share.
 * place->before is to be closed. */
int place_inspect(const struct pins *pins, struct place *place, struct error *error);

/* Whether ours runs on @interface, which is filled in, and gone afterwards with @detach. */
int place_examine(const struct pins *pins, struct wall_interface *interface, bool detach,
		  struct error *error);

#endif
