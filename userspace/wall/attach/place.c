/* SPDX-License-Identifier: BSD-2-Clause */
#include "wall/attach/place.h"
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include "wall/attach/admit.h"
#include "wall/attach/questions.h"
#include "wall/attach/tier.h"
#include "wall/internal.h"

const char *place_mode(enum xdp_attach_mode mode)
{
	return mode == XDP_MODE_NATIVE ? "native" : mode == XDP_MODE_SKB ? "generic" : "hardware";
}

int place_find(struct wall_interface *interface, struct error *error)
{
	interface->index = (int)if_nametoindex(interface->name);
	interface->attached = interface->native = false;
	interface->fallback[0] = '\0';
	if (interface->index)
		return 0;
	return error_set(error, -ENODEV,
			 "there is no interface \"%s\"; ip link shows those there are",
			 interface->name);
}

int place_inspect(const struct pins *pins, struct place *place, struct error *error)
{
	struct xdp_program *program = NULL, *alone;
	const char *name = place->interface->name;

	place->before = xdp_multiprog__get_from_ifindex(place->interface->index);
	if (libxdp_get_error(place->before) || !place->before) {
		place->before = NULL;
		return 0;
	}
	place->mode_before = xdp_multiprog__attach_mode(place->before);
	if (!xdp_multiprog__is_legacy(place->before)) {
		while ((program = xdp_multiprog__next_prog(program, place->before)))
			if (pins_are_used_by(pins, xdp_program__fd(program)))
				place->ours = program;
		return 0;
	}
	alone = xdp_multiprog__main_prog(place->before);
	if (alone && pins_are_used_by(pins, xdp_program__fd(alone))) {
		place->ours = alone;
		place->alone = true;
		return 0;
	}
	if (!alone)
		alone = xdp_multiprog__hw_prog(place->before);
	return error_set(error, -EBUSY,
			 "%s: another XDP program is attached: id %u, \"%s\", %s mode. It was left "
			 "alone; if it is not needed, remove it (ip link set dev %s xdp%s off) and "
			 "attach again",
			 name, xdp_program__id(alone), xdp_program__name(alone),
			 place_mode(place->mode_before), name,
			 place->mode_before == XDP_MODE_SKB ? "generic" : "drv");
}

int place_examine(const struct pins *pins, struct wall_interface *interface, bool detach,
		  struct error *error)
{
	struct place place = {.interface = interface};
	int result = 0, tier;

	place_inspect(pins, &place, NULL); /* a program that is not ours is no error here */
	interface->attached = place.ours != NULL;
	interface->native = place.mode_before == XDP_MODE_NATIVE;
	interface->admits = admit_is_attached(interface->index);
	tier = place.ours ? tier_of_program(xdp_program__fd(place.ours)) : FW_TIER_DROP;
	if (tier < 0)
		tier = interface->admits ? FW_TIER_OWN : FW_TIER_DROP;
	interface->tier = (enum fw_tier)tier;
	interface->asks = questions_are_noted(interface->index);
	if (place.ours && detach)
		result = xdp_program__detach(place.ours, interface->index, place.mode_before, 0);
	if (place.ours && detach && result == 0) {
		admit_detach(interface->index);
		questions_detach(interface->index);
	}
	xdp_multiprog__close(place.before);
	return result == 0 ? 0
			   : error_set(error, result, "%s: cannot detach the filter: %s%s",
				       interface->name, strerror(-result), wall_words());
}
