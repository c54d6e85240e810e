/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Search trees are made from the leaves up, every node full but the last of its level. The nodes of
 * a level stand next to each other, so a branch names its first child only.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "wall/listing/image.h"

#define LINES_MAX (FW_REF_LEAF - 1)

_Static_assert(sizeof(union fw_line) == FW_LINE_SIZE, "a node is a cache line");
_Static_assert(sizeof(struct fw_list) == 2 * FW_LINE_SIZE, "FW_LINE_V4 counts two lines a list");
_Static_assert(sizeof(struct fw_list_rule) * 2 == FW_LINE_SIZE, "two rules a line");

void image_free(struct image *image)
{
	free(image->lines);
	*image = (struct image){.lines = NULL};
}

int64_t image_take(struct image *image, size_t lines)
{
	size_t first = image->count, room = image->room;
	union fw_line *grown;

	if (lines > LINES_MAX - first)
		return -ENOMEM;
	if (first + lines > room) {
		room = first + lines + room / 2;
		grown = realloc(image->lines, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		image->lines = grown;
		image->room = (uint32_t)room;
	}
	memset(image->lines + first, 0, lines * sizeof(*image->lines));
	image->count = (uint32_t)(first + lines);
	return (int64_t)first;
}

static void fill_node(union fw_line *line, uint32_t kind, enum image_tree tree,
		      const struct image_part *parts, size_t count)
{
	size_t ends = kind == FW_REF_LEAF && tree == IMAGE_V6 ? 12 : FW_BRANCH_PARTS;

	for (size_t i = 0; i < ends; i++)
		line->branch.end[i] = (uint16_t)(i < count ? parts[i].end : FW_DIGIT_MAX);
	for (size_t i = 0; i < count && kind == FW_REF_LEAF; i++) {
		if (tree == IMAGE_V4)
			line->v4_leaf.rule[i] = (uint16_t)parts[i].ref;
		else
			line->v6_leaf.ref[i] = parts[i].ref;
	}
	if (kind == FW_REF_BRANCH)
		line->branch.children = parts[0].ref;
}

/* One level: a node for every @width parts, which become the parts of the next level. */
static int64_t make_level(struct image *image, enum image_tree tree, uint32_t kind, size_t width,
			  struct image_part *parts, size_t count)
{
	size_t nodes = (count + width - 1) / width, in_node;
	int64_t first = image_take(image, nodes);
	union fw_line *line;

	if (first < 0)
		return first;
	for (size_t i = 0; i < nodes; i++) {
		in_node = i + 1 < nodes ? width : count - i * width;
		line = &image->lines[first + (int64_t)i];
		fill_node(line, kind, tree, parts + i * width, in_node);
		parts[i] = (struct image_part){.end = parts[i * width + in_node - 1].end,
					       .ref = kind | (uint32_t)(first + (int64_t)i)};
	}
	return (int64_t)nodes;
}

int64_t image_tree(struct image *image, enum image_tree tree, struct image_part *parts,
		   size_t count)
{
	size_t leaf = tree == IMAGE_V4 ? FW_V4_LEAF_PARTS : FW_V6_LEAF_PARTS;
	int64_t nodes = (int64_t)count;

	if (count > 1)
		nodes = make_level(image, tree, FW_REF_LEAF, leaf, parts, count);
	while (nodes > 1)
		nodes = make_level(image, tree, FW_REF_BRANCH, FW_BRANCH_PARTS, parts,
				   (size_t)nodes);
	return nodes < 0 ? nodes : (int64_t)parts[0].ref;
}

static uint32_t part_of(const union fw_line *line, uint32_t digit)
{
	uint32_t part = 0;

	while (line->branch.end[part] < digit) /* the last one's is no smaller */
		part++;
	return part;
}

static uint32_t find_v4(const struct image *image, uint32_t address)
{
	uint32_t index = address >> FW_DIGIT_BITS, digit = address & FW_DIGIT_MAX, part;
	uint32_t ref = image->lines[FW_LINE_V4 + index / 16].ref[index % 16];
	const union fw_line *line;

	while (ref & FW_REF_KIND) {
		line = &image->lines[ref & ~FW_REF_KIND];
		part = part_of(line, digit);
		ref = ref & FW_REF_BRANCH ? line->branch.children + part : line->v4_leaf.rule[part];
	}
	return ref;
}

/* The @nth digit of the address, from 0 on. */
static uint32_t digit_of(unsigned __int128 address, uint32_t nth)
{
	return (uint32_t)((address << (nth * FW_DIGIT_BITS)) >> (128 - FW_DIGIT_BITS));
}

static uint32_t find_v6(const struct image *image, uint64_t upper, uint64_t lower)
{
	unsigned __int128 address = (unsigned __int128)upper << 64 | lower;
	uint32_t index = digit_of(address, 0), nth = 1;
	uint32_t ref = image->lines[FW_LINE_V6 + index / 16].ref[index % 16];
	const union fw_line *line;

	while (ref & FW_REF_KIND) {
		line = &image->lines[ref & ~FW_REF_KIND];
		if ((ref & FW_REF_KIND) == FW_REF_BLOCK)
			return (upper & line->v6_block.upper_mask) == line->v6_block.upper &&
					       (lower & line->v6_block.lower_mask) ==
						       line->v6_block.lower
				       ? line->v6_block.inside
				       : line->v6_block.outside;
		if (ref & FW_REF_BRANCH)
			ref = line->branch.children + part_of(line, digit_of(address, nth));
		else
			ref = line->v6_leaf.ref[part_of(line, digit_of(address, nth++))];
	}
	return ref;
}

uint32_t image_find(const struct image *image, const struct fw_addr *addr)
{
	uint64_t half[2];

	memcpy(half, addr, sizeof(half));
	return fw_addr_is_v4(addr) ? find_v4(image, ntohl(addr->word[3]))
				   : find_v6(image, be64toh(half[0]), be64toh(half[1]));
}
