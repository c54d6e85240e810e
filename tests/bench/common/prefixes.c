// SPDX-License-Identifier: BSD-2-Clause
#include "prefixes.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "wall/listing/listing.h"

static __u64 random_state = 0x9e3779b97f4a7c15ULL;

/* xorshift64 (Marsaglia 2003): the same lists on every machine. */
static __u64 draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 11;
}

static void mask(struct fw_listed *entry)
{
	unsigned char *bytes = (unsigned char *)&entry->addr;

	for (__u32 bit = entry->length; bit < 128; bit++)
		bytes[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
}

static struct fw_listed draw_prefix(bool v6)
{
	struct fw_listed entry = {.length = 128};

	if (v6) { /* 2000::/3 is what there is */
		for (int i = 0; i < 4; i++)
			entry.addr.word[i] = (__be32)draw();
		entry.addr.word[0] = htonl(0x20000000 | (ntohl(entry.addr.word[0]) & 0x1fffffff));
	} else { /* 1.0.0.0 to 223.255.255.255 */
		entry.addr.word[2] = htonl(0xffff);
		entry.addr.word[3] = htonl((__u32)(0x01000000 + draw() % 0xdf000000));
	}
	if (draw() % 2)
		entry.length = v6 ? 32 + draw() % 97 : 120 + draw() % 9;
	mask(&entry);
	return entry;
}

struct prefixes prefixes_make(size_t count, bool v6)
{
	struct prefixes made = {.entries = calloc(count, sizeof(*made.entries)), .v6 = v6};
	struct fw_list row = {.name = ""};

	while (made.entries && made.count < count) {
		while (made.count < count)
			made.entries[made.count++] = draw_prefix(v6);
		listing_tidy(made.entries, &made.count, &row);
	}
	if (made.entries)
		return made;
	fputs("out of memory\n", stderr);
	exit(1);
}

void prefixes_free(struct prefixes *prefixes)
{
	free(prefixes->entries);
	*prefixes = (struct prefixes){.entries = NULL};
}

struct fw_addr prefixes_draw(const struct prefixes *prefixes)
{
	struct fw_listed entry = prefixes->entries[draw() % prefixes->count];
	unsigned char *bytes = (unsigned char *)&entry.addr;

	for (__u32 bit = entry.length; bit < 128; bit++)
		bytes[bit / 8] |= (unsigned char)((draw() & 1) << (7 - bit % 8));
	return entry.addr;
}

int prefixes_install(const struct prefixes *prefixes, int listing_map, struct fw_meta *meta)
{
	struct listing_source sources[FW_LISTS_MAX] = {
		{.row = {.name = "bench", .action = FW_LIST_BLOCK},
		 .entries = prefixes->entries,
		 .count = prefixes->count}};
	struct image image;
	int result = listing_compile(sources, 0, &image, NULL);

	if (result < 0)
		return result;
	result = listing_install(listing_map, meta, &image, NULL);
	image_free(&image);
	return result;
}

int prefixes_fill_trie(const struct prefixes *prefixes, int trie_map)
{
	struct fw_prefix key;
	__u8 value = 1;
	int result = 0;

	for (size_t i = 0; i < prefixes->count && result == 0; i++) {
		key.length = prefixes->entries[i].length;
		key.addr = prefixes->entries[i].addr;
		if (!prefixes->v6) { /* the shorter key of a trie for IPv4 alone */
			key.length -= 96;
			key.addr.word[0] = key.addr.word[3];
		}
		result = bpf_map_update_elem(trie_map, &key, &value, BPF_ANY);
	}
	return result;
}
