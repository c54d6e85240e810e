// SPDX-License-Identifier: BSD-2-Clause
#include "peers.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "lpm.skel.h"
#include "lru.skel.h"
#include "measure.h"
#include "trivial.skel.h"

enum { XDP_FILTER_SRC = 1 }; /* xdp-filter's flag of a rule: it is about the source */

int peers_open_trivial(void)
{
	struct trivial_bpf *trivial = trivial_bpf__open_and_load();

	if (!trivial)
		fail("the kernel refused the trivial program: %s", strerror(errno));
	return measure_program(trivial->progs.trivial);
}

/* A rule of xdp-filter, as `xdp-filter ip --mode src` writes it: one value for each CPU. */
static void xdp_filter_block(struct bpf_object *object, const char *map, const void *source)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 *values = calloc(cpus, sizeof(*values));

	if (!values)
		fail("out of memory");
	for (cpu = 0; cpu < cpus; cpu++)
		values[cpu] = XDP_FILTER_SRC;
	if (!bpf_object__find_map_by_name(object, map))
		fail("xdp-filter's %s has no map %s", bpf_object__name(object), map);
	measure_put(bpf_object__find_map_by_name(object, map), source, values);
	free(values);
}

static struct bpf_object *xdp_filter_load(const char *file)
{
	struct bpf_object *object;
	struct bpf_map *map;
	char pattern[128];
	glob_t found;
	int err;

	snprintf(pattern, sizeof(pattern), "/usr/lib/*/bpf/%s", file);
	if (glob(pattern, 0, NULL, &found))
		fail("no %s: install the package xdp-tools", pattern);
	object = bpf_object__open(found.gl_pathv[0]);
	globfree(&found);
	if (!object)
		fail("%s: %s", file, strerror(errno));
	bpf_object__for_each_map(map, object)
	{
		err = bpf_map__set_pin_path(map, NULL);
		if (err)
			fail("%s: map %s: %s", file, bpf_map__name(map), strerror(-err));
	}
	err = bpf_object__load(object);
	if (err)
		fail("the kernel refused %s: %s", file, strerror(-err));
	return object;
}

int peers_open_xdp_filter(const char *file, const char *blocked_v4, const char *blocked_v6)
{
	struct bpf_object *object = xdp_filter_load(file);
	struct bpf_program *program, *found = NULL;
	struct in6_addr v6;
	struct in_addr v4;

	inet_pton(AF_INET, blocked_v4, &v4);
	inet_pton(AF_INET6, blocked_v6, &v6);
	xdp_filter_block(object, "filter_ipv4", &v4);
	xdp_filter_block(object, "filter_ipv6", &v6);
	bpf_object__for_each_program(program, object) found = program;
	if (!found)
		fail("%s holds no program", file);
	return measure_program(found);
}

int peers_open_lpm(const struct prefixes *list)
{
	static struct lpm_bpf *lpm;
	int err;

	lpm_bpf__destroy(lpm);
	lpm = lpm_bpf__open_and_load();
	if (!lpm)
		fail("the kernel refused the LPM trie: %s", strerror(errno));
	err = prefixes_fill_trie(list,
				 bpf_map__fd(list->v6 ? lpm->maps.trie_v6 : lpm->maps.trie_v4));
	if (err)
		fail("filling the trie: %s", strerror(-err));
	return measure_program(lpm->progs.lpm);
}

int peers_open_lru_insert(void)
{
	struct lru_bpf *lru = lru_bpf__open_and_load();

	if (!lru)
		fail("the kernel refused the LRU hash: %s", strerror(errno));
	return measure_program(lru->progs.lru_insert);
}

struct lru_bpf *peers_load_lru_limit(__u32 entries, __u64 rate, __u64 burst)
{
	struct lru_bpf *lru = lru_bpf__open();

	if (!lru)
		fail("opening the LRU hash: %s", strerror(errno));
	lru->rodata->interval_ns = 1000000000 / rate;
	lru->rodata->tolerance_ns = (burst - 1) * lru->rodata->interval_ns;
	bpf_map__set_max_entries(lru->maps.lru_v4, entries);
	if (lru_bpf__load(lru))
		fail("the kernel refused the LRU hash: %s", strerror(errno));
	return lru;
}
