/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the filter runs, and how it is taken off. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wall/attach/admit.h"
#include "wall/attach/place.h"
#include "wall/internal.h"
#include "wall/pins.h"

/*
 * What wall_interfaces() saw. libxdp 1.3 loses a descriptor with every interface that it looks into
 * (xdp-tools issue 343), so one that still runs the same program is not looked into again: a daemon
 * asks for years.
 */
struct sights {
	struct pins pins;
	size_t count;
	struct sight {
		int index;
		uint64_t running;
		bool attached, native;
		enum fw_tier tier; /* a loaded program's never changes */
	} list[];
};

/* Mode and id of what runs on an interface; 0: nothing. Ids are not used twice. */
static uint64_t running_on(int index)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, options);

	if (bpf_xdp_query(index, 0, &options) < 0)
		return (uint64_t)XDP_ATTACHED_MULTI << 32;
	return (uint64_t)options.attach_mode << 32 | options.prog_id;
}

static const struct sight *recall(const struct sights *sights, const struct pins *pins, int index,
				  uint64_t running)
{
	if (!sights || !(uint32_t)running || sights->pins.count != pins->count ||
	    memcmp(sights->pins.ids, pins->ids, pins->count * sizeof(pins->ids[0])) != 0)
		return NULL;
	for (size_t i = 0; i < sights->count; i++)
		if (sights->list[i].index == index && sights->list[i].running == running)
			return &sights->list[i];
	return NULL;
}

/* As place_examine(), but from memory where that is good enough. */
static int look_at(const struct pins *pins, const struct sights *before,
		   struct wall_interface *interface, struct sight *sight, struct error *error)
{
	uint64_t running = running_on(interface->index);
	const struct sight *known = recall(before, pins, interface->index, running);
	int result = 0;

	if (known) {
		interface->attached = known->attached;
		interface->native = known->native;
		interface->tier = known->tier;
		interface->admits = admit_is_attached(interface->index);
	} else if (running) {
		result = place_examine(pins, interface, false, error);
	}
	*sight = (struct sight){interface->index, running, interface->attached, interface->native,
				interface->tier};
	return result;
}

/* Every interface the filter runs on; @sights: what was seen before and is now, or, where it is
 * NULL, the filter is detached as well. */
static int examine_all(const struct pins *pins, struct sights **sights,
		       struct wall_interface **list, size_t *count, struct error *error)
{
	struct if_nameindex *names = if_nameindex();
	struct wall_interface *found;
	struct sights *seen = NULL;
	size_t total = 0;
	int result = 0;

	if (!names)
		return error_set(error, -errno, "cannot list the interfaces: %s", strerror(errno));
	while (names[total].if_index)
		total++;
	found = calloc(total ? total : 1, sizeof(*found));
	seen = calloc(1, sizeof(*seen) + total * sizeof(seen->list[0]));
	if (!found || !seen)
		result = error_set(error, -ENOMEM, "out of memory");
	else
		seen->pins = *pins;
	*count = 0;
	for (size_t i = 0; i < total && result == 0; i++) {
		struct wall_interface *interface = &found[*count];

		*interface = (struct wall_interface){.index = (int)names[i].if_index};
		strncpy(interface->name, names[i].if_name, sizeof(interface->name) - 1);
		if (sights)
			result = look_at(pins, *sights, interface, &seen->list[seen->count++],
					 error);
		else
			result = place_examine(pins, interface, true, error);
		*count += interface->attached;
	}
	if_freenameindex(names);
	if (sights && result == 0) {
		free(*sights);
		*sights = seen;
	} else {
		free(seen);
	}
	*list = found;
	if (result < 0) {
		free(found);
		*list = NULL;
	}
	return result;
}

int wall_interfaces(struct wall *wall, struct wall_interface **list, size_t *count,
		    struct error *error)
{
	struct pins pins;
	int result;

	wall_words_forget();
	result = pins_read(&pins, error);
	return result < 0 ? result : examine_all(&pins, &wall->sights, list, count, error);
}

int interfaces_detach_all(const struct pins *pins, struct error *error)
{
	struct wall_interface *list;
	size_t count;
	int result;

	wall_words_forget();
	result = examine_all(pins, NULL, &list, &count, error);
	free(list);
	return result;
}

int wall_detach(struct wall *wall, const char *const *interfaces, size_t count, struct error *error)
{
	struct wall_interface *found = calloc(count ? count : 1, sizeof(*found));
	struct pins pins;
	int result;

	if (!found)
		return error_set(error, -ENOMEM, "out of memory");
	wall_words_forget();
	wall_lock(wall);
	result = pins_read(&pins, error);
	if (result == 0 && count == 0)
		result = interfaces_detach_all(&pins, error);
	for (size_t i = 0; i < count && result == 0; i++) {
		snprintf(found[i].name, sizeof(found[i].name), "%s", interfaces[i]);
		result = place_find(&found[i], error);
		if (result == 0)
			result = place_examine(&pins, &found[i], false, error);
		if (result == 0 && !found[i].attached)
			result = error_set(error, -ENOENT, "%s: the filter is not attached there",
					   interfaces[i]);
	}
	for (size_t i = 0; i < count && result == 0; i++)
		result = place_examine(&pins, &found[i], true, error);
	wall_unlock(wall);
	free(found);
	return result;
}
