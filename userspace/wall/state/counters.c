/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter's counters. Every CPU has its own, so that counting is an addition and nothing else;
 * they are added up here.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "wall/internal.h"

#define CELLS (FW_SERVICES_MAX * FW_VERDICTS_MAX)

static void add_up(struct fw_counter *sum, const struct fw_counter *cpus, int count)
{
	*sum = (struct fw_counter){0};
	for (int i = 0; i < count; i++) {
		sum->packets += cpus[i].packets;
		sum->bytes += cpus[i].bytes;
		sum->would += cpus[i].would;
	}
}

int wall_counters(struct wall *wall, struct fw_counter *sums, struct error *error)
{
	int cpus = libbpf_num_possible_cpus(), result = 0;
	uint32_t cursor, *from = NULL, done = 0, got;
	struct fw_counter *all;
	uint32_t *keys;

	if (cpus < 0)
		return error_set(error, cpus, "cannot tell how many CPUs there are");
	all = malloc((size_t)CELLS * (size_t)cpus * sizeof(*all));
	keys = malloc(CELLS * sizeof(*keys));
	if (!all || !keys)
		result = -ENOMEM;
	while (result == 0 && done < CELLS) {
		got = CELLS - done;
		if (bpf_map_lookup_batch(wall->maps[MAP_COUNTERS].fd, from, &cursor, keys + done,
					 all + (size_t)done * (size_t)cpus, &got, NULL) < 0 &&
		    errno != ENOENT)
			result = -errno;
		else if (got == 0)
			result = -EIO;
		from = &cursor;
		done += got;
	}
	for (uint32_t i = 0; i < CELLS && result == 0; i++)
		add_up(&sums[keys[i]], all + (size_t)i * (size_t)cpus, cpus);
	free(all);
	free(keys);
	return result == 0 ? 0
			   : error_set(error, result, "cannot read the counters: %s",
				       strerror(-result));
}
