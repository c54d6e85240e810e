/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of pins as it is, of whatever layout: which maps are in it, which programs use
 * them, and how it goes.
 *
 * It asks nothing of the maps, so it can clear away what another version left behind.
 */
#ifndef WALL_PINS_H
#define WALL_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define PINS_MAX 64

struct pins {
	uint32_t ids[PINS_MAX]; /* of the pinned maps */
	size_t count;
};

/* −ENOENT: there is no directory. */
int pins_read(struct pins *pins, struct error *error);
/* Whether a program uses one of the pinned maps: then it is Floodwall's. */
bool pins_are_used_by(const struct pins *pins, int program);
/* Unpins everything. What nothing else holds is gone. */
int pins_remove(struct error *error);

/* Detaches the programs that use these maps from every interface (wall/interfaces.c). */
int interfaces_detach_all(const struct pins *pins, struct error *error);

#endif
