/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named lists: load, drop, look.
 *
 * The image in force holds every list's entries too. So a change reads it, compiles the next one
 * and puts that in its place; there is no other copy that could disagree, and no daemon is needed.
 * The lock keeps two changes from undoing each other; the filter never waits for it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "wall/internal.h"
#include "wall/listing/listing.h"

/* The lists in force, as a change finds them. */
struct lists {
	struct image image; /* what @sources point into */
	struct listing_source sources[FW_LISTS_MAX];
};

static int lists_open(struct wall *wall, struct lists *lists, struct error *error)
{
	int result = listing_map(wall->maps[MAP_LISTING].fd, &lists->image, error);

	listing_read(&lists->image, lists->sources);
	return result;
}

static struct listing_source *lists_find(struct lists *lists, const char *name)
{
	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		if (strcmp(lists->sources[i].row.name, name) == 0)
			return &lists->sources[i];
	return NULL;
}

/* NULL: there are no lists any more. */
static int lists_install(struct wall *wall, const struct image *image, struct error *error)
{
	struct fw_meta *meta = wall_map_writable(wall, MAP_META, error);
	int result;

	if (!meta)
		return -EIO;
	result = listing_install(wall->maps[MAP_LISTING].fd, meta, image, error);
	munmap(meta, wall->maps[MAP_META].size);
	return result;
}

/* Puts the sources in force. */
static int lists_commit(struct wall *wall, const struct lists *lists, struct error *error)
{
	struct image image;
	size_t count = 0;
	int result;

	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		count += lists->sources[i].row.name[0] != '\0';
	if (count == 0)
		return lists_install(wall, NULL, error);
	result = listing_compile(lists->sources, clock_now_ns() / CLOCK_SEC, &image, error);
	if (result < 0)
		return result;
	result = lists_install(wall, &image, error);
	image_free(&image);
	return result;
}

static int check_name(const char *name, struct error *error)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (length > 0 && !name[length] && length < FW_NAME_SIZE)
		return 0;
	return error_set(error, -EINVAL, "\"%s\" is no name for a list: 1 to %d of a-z 0-9 _ -",
			 name, FW_NAME_SIZE - 1);
}

static uint64_t packets_of(struct wall *wall, uint32_t id)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *each = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*each)), sum = 0;

	if (each && bpf_map_lookup_elem(wall->maps[MAP_LIST_PACKETS].fd, &id, each) == 0)
		for (int i = 0; i < cpus; i++)
			sum += each[i];
	free(each);
	return sum;
}

static int forget_packets(struct wall *wall, uint32_t id, struct error *error)
{
	int cpus = libbpf_num_possible_cpus(), result;
	uint64_t *each = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*each));

	if (!each)
		return error_set(error, -ENOMEM, "out of memory");
	result = wall_map_update(wall, MAP_LIST_PACKETS, &id, each, error);
	free(each);
	return result;
}

static void describe(struct wall *wall, const struct lists *lists, uint32_t id,
		     struct wall_named *named)
{
	const struct listing_source *source = &lists->sources[id];

	*named = (struct wall_named){.row = source->row, .packets = packets_of(wall, id)};
	named->row.name[FW_NAME_SIZE - 1] = '\0';
}

/* The list's own row, or a free one. −ENOSPC. */
static int claim(struct wall *wall, struct lists *lists, const char *name,
		 struct listing_source **source, struct error *error)
{
	*source = lists_find(lists, name);
	if (*source)
		return 0;
	*source = lists_find(lists, "");
	if (!*source)
		return error_set(error, -ENOSPC, "there are %d lists already; drop one first",
				 FW_LISTS_MAX);
	return forget_packets(wall, (uint32_t)(*source - lists->sources), error);
}

/* As the compiler takes it; the entries stay the caller's. */
static int prepare(const struct wall_named_new *new, struct listing_source *source,
		   struct error *error)
{
	int result = check_name(new->name, error);

	if (result < 0)
		return result;
	*source = (struct listing_source){
		.row = {.action = new->action,
			.from_file = new->from_file,
			.loaded_ns = clock_read_ns(CLOCK_REALTIME)},
		.entries = new->entries,
		.count = new->count,
	};
	strcpy(source->row.name, new->name);
	listing_tidy(new->entries, &source->count, &source->row);
	return 0;
}

static int drop(struct lists *lists, const char *name, struct error *error)
{
	struct listing_source *source = *name ? lists_find(lists, name) : NULL;

	if (!source)
		return error_set(error, -ENOENT, "there is no list \"%s\"", name);
	*source = (struct listing_source){.count = 0};
	return 0;
}

/* The lock is held. */
static int change(struct wall *wall, struct lists *lists, const struct listing_source *loads,
		  size_t load_count, const char *const *drops, size_t drop_count,
		  struct error *error)
{
	struct listing_source *source;
	int result = lists_open(wall, lists, error);

	for (size_t i = 0; i < drop_count && result == 0; i++)
		result = drop(lists, drops[i], error);
	for (size_t i = 0; i < load_count && result == 0; i++) {
		result = claim(wall, lists, loads[i].row.name, &source, error);
		if (result == 0)
			*source = loads[i];
	}
	if (result == 0)
		result = lists_commit(wall, lists, error);
	listing_unmap(&lists->image);
	return result;
}

int wall_named_change(struct wall *wall, const struct wall_named_new *loads, size_t load_count,
		      const char *const *drops, size_t drop_count, struct error *error)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	struct listing_source *sources = calloc(load_count + 1, sizeof(*sources));
	int result = lists && sources ? 0 : error_set(error, -ENOMEM, "out of memory");

	for (size_t i = 0; i < load_count && result == 0; i++)
		result = prepare(&loads[i], &sources[i], error);
	if (result == 0) {
		wall_lock(wall);
		result = change(wall, lists, sources, load_count, drops, drop_count, error);
		wall_unlock(wall);
	}
	free(sources);
	free(lists);
	return result;
}

int wall_named_load(struct wall *wall, const char *name, enum fw_list_action action,
		    struct fw_listed *entries, size_t count, struct wall_named *loaded,
		    struct error *error)
{
	const struct wall_named_new new = {name, action, false, entries, count};
	int result = wall_named_change(wall, &new, 1, NULL, 0, error);

	return result < 0 ? result : wall_named_find(wall, name, loaded, error);
}

int wall_named_drop(struct wall *wall, const char *name, struct error *error)
{
	return wall_named_change(wall, NULL, 0, &name, 1, error);
}

int wall_named_expire(struct wall *wall, struct error *error)
{
	uint64_t now_s = clock_now_ns() / CLOCK_SEC;
	struct lists *lists = calloc(1, sizeof(*lists));
	int result, expired = 0;

	if (!lists)
		return error_set(error, -ENOMEM, "out of memory");
	wall_lock(wall);
	result = lists_open(wall, lists, error);
	for (size_t i = 0; i < FW_LISTS_MAX; i++)
		for (size_t j = 0; j < lists->sources[i].count; j++)
			expired += lists->sources[i].entries[j].expires_s &&
				   lists->sources[i].entries[j].expires_s <= now_s;
	if (result == 0 && expired)
		result = lists_commit(wall, lists, error);
	listing_unmap(&lists->image);
	wall_unlock(wall);
	free(lists);
	return result < 0 ? result : expired;
}

int wall_named_all(struct wall *wall, struct wall_listing *listing, struct error *error)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	int result =
		lists ? lists_open(wall, lists, error) : error_set(error, -ENOMEM, "out of memory");

	*listing = (struct wall_listing){.count = 0};
	if (result == 0 && lists->image.count) {
		listing->bytes = (uint64_t)lists->image.count * FW_LINE_SIZE;
		listing->granularity_s = lists->image.lines[0].head.granularity_s;
		for (uint32_t i = 0; i < FW_LISTS_MAX; i++)
			if (lists->sources[i].row.name[0])
				describe(wall, lists, i, &listing->list[listing->count++]);
	}
	if (lists)
		listing_unmap(&lists->image);
	free(lists);
	return result;
}

int wall_named_find(struct wall *wall, const char *name, struct wall_named *named,
		    struct error *error)
{
	struct wall_listing *listing = malloc(sizeof(*listing));
	int result = listing ? wall_named_all(wall, listing, error)
			     : error_set(error, -ENOMEM, "out of memory");
	bool found = false;

	for (size_t i = 0; result == 0 && i < listing->count; i++) {
		if (strcmp(listing->list[i].row.name, name) == 0) {
			*named = listing->list[i];
			found = true;
		}
	}
	free(listing);
	return result < 0 || found ? result
				   : error_set(error, -ENOENT, "there is no list \"%s\"", name);
}

int wall_named_each(struct wall *wall, const char *name,
		    int (*each)(void *context, const struct fw_listed *entry), void *context,
		    struct error *error)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	int result =
		lists ? lists_open(wall, lists, error) : error_set(error, -ENOMEM, "out of memory");
	struct listing_source *source = NULL;

	if (result == 0) {
		source = *name ? lists_find(lists, name) : NULL;
		if (!source)
			result = error_set(error, -ENOENT, "there is no list \"%s\"", name);
	}
	for (size_t i = 0; source && result == 0 && i < source->count; i++)
		result = each(context, &source->entries[i]);
	if (lists)
		listing_unmap(&lists->image);
	free(lists);
	return result;
}
