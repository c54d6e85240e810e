/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter on interfaces.
 *
 * libxdp attaches it, so that where the kernel can (freplace) it runs in libxdp's dispatcher beside
 * other programs, and elsewhere alone. A program is ours if it uses one of our maps; one that is
 * not ours is never touched. Where ours runs already its program is exchanged: alone by one atomic
 * replacement, in a dispatcher by adding the new one before the old one goes. Either way no packet
 * goes unfiltered.
 *
 * Several interfaces are done one by one and undone again if a later one refuses.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xdp/libxdp.h>
#include "base/clock.h"
#include "wall/attach/admit.h"
#include "wall/attach/place.h"
#include "wall/attach/programs.h"
#include "wall/attach/questions.h"
#include "wall/attach/tier.h"
#include "wall/internal.h"
#include "wall/pins.h"
#include "wall/policy/secrets.h"
#include "filter.skel.h"

/* In a dispatcher: in front of programs with libxdp's default of 50, which see what may pass. */
#define RUN_PRIORITY 10

static void close_place(struct place *place)
{
	xdp_program__close(place->added);
	filter_bpf__destroy(place->skeleton);
	xdp_multiprog__close(place->before);
}

/* A fresh, not yet loaded filter on the wall's maps. */
static int open_filter(struct wall *wall, struct place *place, struct error *error)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, options);
	struct filter_bpf *skeleton;
	int result;

	xdp_program__close(place->added);
	filter_bpf__destroy(place->skeleton);
	place->added = NULL;
	place->skeleton = skeleton = filter_bpf__open();
	if (!skeleton)
		return error_set(error, -errno, "cannot read the built-in filter: %s",
				 strerror(errno));
	skeleton->rodata->fw_seed[0] = wall->seed[0];
	skeleton->rodata->fw_seed[1] = wall->seed[1];
	skeleton->rodata->fw_connection_mask = wall->connection_mask;
	skeleton->rodata->fw_tier = place->interface->tier;
	skeleton->rodata->fw_notes_questions = place->interface->asks;
	result = wall_maps_reuse(wall, skeleton->obj);
	if (result < 0)
		return error_set(error, result, "cannot give the filter its maps: %s",
				 strerror(-result));
	options.obj = skeleton->obj;
	options.prog_name = bpf_program__name(skeleton->progs.floodwall_filter);
	place->added = xdp_program__create(&options);
	result = (int)libxdp_get_error(place->added);
	if (result == 0) {
		xdp_program__set_run_prio(place->added, RUN_PRIORITY);
		return 0;
	}
	place->added = NULL;
	return error_set(error, result, "cannot prepare the filter: %s", strerror(-result));
}

static int add(struct wall *wall, struct place *place, enum xdp_attach_mode mode,
	       struct error *error)
{
	int result = open_filter(wall, place, error);

	if (result < 0)
		return result;
	wall_words_forget();
	result = xdp_program__attach(place->added, place->interface->index, mode, 0);
	place->mode = mode;
	if (result == 0)
		return 0;
	xdp_program__close(place->added);
	place->added = NULL;
	return error_set(error, result, "%s: cannot attach in %s mode: %s%s",
			 place->interface->name, place_mode(mode), strerror(-result), wall_words());
}

static __u32 mode_flag(enum xdp_attach_mode mode)
{
	return mode == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

/* Puts @fd in the place of @old, in one step. */
static int exchange(const struct place *place, int fd, int old)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = old);

	return bpf_xdp_attach(place->interface->index, fd,
			      mode_flag(place->mode_before) | XDP_FLAGS_REPLACE, &options);
}

static int replace_alone(struct wall *wall, struct place *place, struct error *error)
{
	int result = open_filter(wall, place, error), loaded;

	if (result < 0)
		return result;
	xdp_program__close(place->added); /* libxdp would want a dispatcher */
	place->added = NULL;
	wall_words_forget();
	result = bpf_object__load(place->skeleton->obj);
	if (result < 0)
		return error_set(error, result, "the kernel refused to load the filter: %s%s",
				 strerror(-result), wall_words());
	loaded = bpf_program__fd(place->skeleton->progs.floodwall_filter);
	place->mode = place->mode_before;
	if (program_stays(wall, xdp_program__fd(place->ours), loaded))
		return 0;
	place->added = xdp_program__from_fd(loaded);
	result = (int)libxdp_get_error(place->added);
	if (result < 0)
		place->added = NULL;
	else
		result = exchange(place, xdp_program__fd(place->added),
				  xdp_program__fd(place->ours));
	return result == 0 ? 0
			   : error_set(error, result, "%s: cannot replace the filter: %s%s",
				       place->interface->name, strerror(-result), wall_words());
}

/* Native and generic exclude each other on an interface, so here there is a gap. */
static int move(struct wall *wall, struct place *place, enum xdp_attach_mode mode,
		struct error *error)
{
	int result =
		xdp_program__detach(place->ours, place->interface->index, place->mode_before, 0);

	if (result < 0)
		return error_set(error, result, "%s: cannot detach the filter from %s mode: %s",
				 place->interface->name, place_mode(place->mode_before),
				 strerror(-result));
	place->moved = true;
	return add(wall, place, mode, error);
}

/* Native if the driver can, else generic, saying why. */
static int add_auto(struct wall *wall, struct place *place, struct error *error)
{
	char *fallback = place->interface->fallback;
	int result = add(wall, place, XDP_MODE_NATIVE, error);

	if (result == 0 || result == -EBUSY || result == -EEXIST || result == -EPERM ||
	    result == -ENOMEM)
		return result;
	snprintf(fallback, sizeof(place->interface->fallback), "%s%s", strerror(-result),
		 wall_words());
	return add(wall, place, XDP_MODE_SKB, error);
}

static int attach_place(struct wall *wall, struct place *place, enum wall_mode wanted,
			struct error *error)
{
	enum xdp_attach_mode mode = wanted == WALL_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;

	if (!place->before)
		return wanted == WALL_AUTO ? add_auto(wall, place, error)
					   : add(wall, place, mode, error);
	if (wanted == WALL_AUTO)
		mode = place->mode_before; /* keeps what runs */
	if (mode == place->mode_before)
		return place->alone ? replace_alone(wall, place, error)
				    : add(wall, place, mode, error);
	if (place->ours && (place->alone || xdp_multiprog__program_count(place->before) == 1))
		return move(wall, place, mode, error);
	return error_set(error, -EBUSY,
			 "%s: other programs run there in %s mode, and an interface has one mode; "
			 "attach with --mode %s",
			 place->interface->name, place_mode(place->mode_before),
			 place_mode(place->mode_before));
}

/* Back to what was before. There is nobody to tell if even that fails. */
static void undo(struct place *place)
{
	int index = place->interface->index;

	if (place->added && place->alone && !place->moved)
		exchange(place, xdp_program__fd(place->ours), xdp_program__fd(place->added));
	else if (place->added)
		xdp_program__detach(place->added, index, place->mode, 0);
	if (place->moved)
		xdp_program__attach(place->ours, index, place->mode_before, 0);
	if (place->admits)
		admit_detach(index);
	if (place->asks)
		questions_detach(index);
}

/* In a dispatcher the old program still runs beside the new one. */
static void finish(struct place *place)
{
	struct wall_interface *interface = place->interface;

	if (place->ours && !place->alone && !place->moved)
		xdp_program__detach(place->ours, interface->index, place->mode_before, 0);
	interface->attached = true;
	interface->native = place->mode == XDP_MODE_NATIVE;
	interface->admits = interface->tier == FW_TIER_OWN;
	if (!interface->admits)
		admit_detach(interface->index); /* of a tier that was */
}

static void note_attachment(struct wall *wall)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, NULL);

	if (!meta)
		return;
	if (!meta->attached_ns)
		meta->attached_ns = clock_read_ns(CLOCK_REALTIME);
	munmap(meta, wall->maps[MAP_META].size);
}

static int attach_places(struct wall *wall, struct place *places, size_t count, enum wall_mode mode,
			 int tier, struct error *error)
{
	struct questions *questions = NULL;
	struct tiers tiers = {0};
	struct pins pins;
	size_t done = 0;
	int result = pins_read(&pins, error);

	/* Everything that can be known to fail fails before anything is changed. */
	for (size_t i = 0; i < count && result == 0; i++)
		result = place_find(places[i].interface, error);
	for (size_t i = 0; i < count && result == 0; i++)
		result = place_inspect(&pins, &places[i], error);
	if (result == 0)
		result = secrets_refresh(wall, error);
	if (result == 0)
		result = tiers_begin(wall, tier, &tiers, error);
	if (result == 0)
		questions = questions_load(wall);
	while (done < count && result == 0) {
		struct place *place = &places[done++];

		/* Admission comes before the filter: whoever is challenged must be let in. */
		result = tiers_choose(&tiers, place->interface, &place->admits, error);
		questions_attach(questions, place->interface, &place->asks);
		if (result == 0)
			result = attach_place(wall, place, mode, error);
	}
	tiers_end(&tiers);
	questions_free(questions);
	if (result == 0) {
		for (size_t i = 0; i < count; i++)
			finish(&places[i]);
		note_attachment(wall);
	} else {
		while (done > 0)
			undo(&places[--done]);
	}
	return result;
}

int wall_attach(struct wall *wall, struct wall_interface *interfaces, size_t count,
		enum wall_mode mode, int tier, struct error *error)
{
	struct place *places = calloc(count ? count : 1, sizeof(*places));
	int result;

	if (!places)
		return error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		places[i].interface = &interfaces[i];
	wall_words_forget();
	result = wall_lock_pinned(wall, error);
	if (result == 0) {
		result = attach_places(wall, places, count, mode, tier, error);
		wall_unlock(wall);
	}
	for (size_t i = 0; i < count; i++)
		close_place(&places[i]);
	free(places);
	return result;
}
