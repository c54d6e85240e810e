// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time that passes, without waiting for it: each word that the filter keeps of time is moved. Whole
 * maps at once, as the time that this takes passes as well.
 *
 * Left out: what user space dates, which is secrets and entries of lists.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include "filter.h"

static void age_require(bool good, const char *what)
{
	if (!good)
		fail_msg("aging: %s", what);
}

/* Never is still never. */
static uint64_t age_word(uint64_t time, int64_t ns)
{
	if (!time || (ns > 0 && time <= (uint64_t)ns))
		return 0;
	return time - ns;
}

/* Cells of a sketch: the time by ticks of 64 ns, and below it whose it is. */
static uint64_t age_cell(uint64_t cell, int64_t ns)
{
	const uint64_t mark = cell & ((1ULL << FW_SKETCH_MARK_BITS) - 1);

	return age_word(cell >> FW_SKETCH_MARK_BITS, ns / 64) << FW_SKETCH_MARK_BITS | mark;
}

/* A flow that has returned a cookie: milliseconds in the lower 16 bits. The filter's clock is a
 * tick or two late, and knows nobody from the future. */
static uint64_t age_arrival(uint64_t arrival, int64_t ns)
{
	const int64_t millisecond = FILTER_SECOND / 1000, ticks = 10, most = 60000;
	int64_t ms = ns / millisecond + (ns < 0 ? ticks : 0);

	if (!arrival || ms > most)
		return 0;
	return (arrival & ~0xffffULL) | (uint16_t)(arrival - (ms > -most ? ms : -most));
}

/* Every word of an array whose values are @words of them, by @age. */
static void age_array(struct filter *filter, const char *map, uint32_t count, uint32_t words,
		      uint64_t (*age)(uint64_t word, int64_t ns), int64_t ns)
{
	uint64_t *values = calloc(count, words * sizeof(*values));
	uint32_t *keys = calloc(count, sizeof(*keys)), next, got = count;
	int fd = filter_map(filter, map), error;

	age_require(values && keys, "no memory");
	error = bpf_map_lookup_batch(fd, NULL, &next, keys, values, &got, NULL);
	age_require((error == 0 || error == -ENOENT) && got == count, map);
	for (uint32_t i = 0; i < count * words; i++)
		values[i] = age(values[i], ns);
	age_require(bpf_map_update_batch(fd, keys, values, &got, NULL) == 0, map);
	free(values);
	free(keys);
}

static void age_row(struct fw_pressure *row, int64_t ns)
{
	row->until_ns = age_word(row->until_ns, ns);
	row->caps_ns = age_word(row->caps_ns, ns);
	row->verified_ns = age_word(row->verified_ns, ns);
}

static void age_services(struct filter *filter, int64_t ns)
{
	int rows = filter_map(filter, "pressure"), strains = filter_map(filter, "strains");
	struct fw_strain strain;
	struct fw_pressure row;
	struct fw_meta *meta = filter_meta(filter);

	meta->segments_ns = age_word(meta->segments_ns, ns);
	for (uint32_t service = 0; service < FILTER_SERVICES; service++) {
		age_require(bpf_map_lookup_elem(rows, &service, &row) == 0, "pressure");
		age_row(&row, ns);
		age_require(bpf_map_update_elem(rows, &service, &row, BPF_ANY) == 0, "pressure");
		age_require(bpf_map_lookup_elem(strains, &service, &strain) == 0, "strains");
		strain.newcomers_tat_ns = age_word(strain.newcomers_tat_ns, ns);
		strain.verified_tat_ns = age_word(strain.verified_tat_ns, ns);
		age_require(bpf_map_update_elem(strains, &service, &strain, BPF_ANY) == 0,
			    "strains");
	}
}

static void age_samplers(struct filter *filter, int64_t ns)
{
	int fd = filter_map(filter, "samplers"), cpus = libbpf_num_possible_cpus();
	struct fw_sampler *each = calloc(cpus, sizeof(*each));

	age_require(each != NULL, "no memory");
	for (uint32_t service = 0; service < 2; service++)
		for (uint32_t verdict = 0; verdict < FW_VERDICT_COUNT; verdict++) {
			uint32_t index = fw_counter_index(service, verdict);

			bpf_map_lookup_elem(fd, &index, each);
			for (int cpu = 0; cpu < cpus; cpu++)
				each[cpu].tat_ns = age_word(each[cpu].tat_ns, ns);
			bpf_map_update_elem(fd, &index, each, BPF_ANY);
		}
	free(each);
}

/* All keys of a table, *@count of them; to be freed. First all are read, then the first is written:
 * what is written changes its place, and who looked for the next one might never come to an end. */
static void *age_keys(int fd, size_t size, size_t *count)
{
	char *keys = NULL;

	for (*count = 0;; ++*count) {
		keys = realloc(keys, (*count + 1) * size);
		age_require(keys != NULL, "no memory");
		if (bpf_map_get_next_key(fd, *count ? keys + (*count - 1) * size : NULL,
					 keys + *count * size) != 0)
			return keys;
	}
}

static void age_questions(struct filter *filter, int64_t ns)
{
	int fd = filter_map(filter, "questions");
	struct fw_asked asked;
	size_t count;
	struct fw_question *keys = age_keys(fd, sizeof(*keys), &count);

	for (size_t i = 0; i < count; i++)
		if (bpf_map_lookup_elem(fd, &keys[i], &asked) == 0) {
			asked.asked_ns = age_word(asked.asked_ns, ns);
			bpf_map_update_elem(fd, &keys[i], &asked, BPF_EXIST);
		}
	free(keys);
}

static void age_sources(struct filter *filter, int64_t ns)
{
	int fd = filter_map(filter, "sources");
	struct fw_source source;
	size_t count;
	struct fw_source_key *keys = age_keys(fd, sizeof(*keys), &count);

	for (size_t i = 0; i < count; i++)
		if (bpf_map_lookup_elem(fd, &keys[i], &source) == 0) {
			source.tat_ns = age_word(source.tat_ns, ns);
			source.syn_tat_ns = age_word(source.syn_tat_ns, ns);
			source.again_tat_ns = age_word(source.again_tat_ns, ns);
			bpf_map_update_elem(fd, &keys[i], &source, BPF_EXIST);
		}
	free(keys);
}

void filter_age(struct filter *filter, int64_t ns)
{
	age_array(filter, "sketch", FW_SKETCH_LINES, FW_SKETCH_CELLS, age_cell, ns);
	age_array(filter, "answers", FW_SKETCH_LINES, FW_SKETCH_CELLS, age_cell, ns);
	age_array(filter, "handshakes", FW_SKETCH_LINES, FW_SKETCH_CELLS, age_cell, ns);
	age_array(filter, "gates", FW_SERVICES_MAX, 1, age_word, ns);
	age_array(filter, "rates", FW_SETTINGS_MAX, 1, age_word, ns);
	age_array(filter, "arrivals", FW_ARRIVALS, 1, age_arrival, ns);
	age_services(filter, ns);
	age_samplers(filter, ns);
	age_questions(filter, ns);
	age_sources(filter, ns);
}
