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
#include "wall/image.h"

#define LINES_MAX (FW_REF_LEAF - 1)

_Static_assert(sizeof(union fw_line) == FW_LINE_SIZE, "a node is a cache line");
_Static_assert(sizeof(struct fw_list) == 2 * FW_LINE_SIZE, "FW_LINE_V4 counts two lines a list");
_Static_assert(sizeof(struct fw_list_rule) * 2 == FW_LINE_SIZE, "two rules a line");

void image_free(struct image *image)
{
	free(image->lines);
	*image = (struct image){NULL};
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

/* Ends that are not used are the last key. */
static void clear_ends(union fw_line *line, enum image_tree tree)
{
	memset(line, 0xff, sizeof(*line));
	for (int i = 0; i < FW_V4_LEAF && tree == IMAGE_V4; i++)
		line->v4_leaf.end[i] = 0x7fff;
}

static void fill_leaf(union fw_line *line, enum image_tree tree, const struct image_part *parts,
		      size_t count)
{
	clear_ends(line, tree);
	for (size_t i = 0; i < count; i++) {
		if (tree == IMAGE_V4) {
			line->v4_leaf.end[i] = (uint16_t)parts[i].end;
			line->v4_leaf.rule[i] = (uint16_t)parts[i].ref;
		} else {
			if (i < FW_V6_LEAF - 1)
				line->v6_leaf.end[i] = parts[i].end;
			line->v6_leaf.ref[i] = parts[i].ref;
		}
	}
}

static void fill_branch(union fw_line *line, enum image_tree tree, const struct image_part *parts,
			size_t count)
{
	clear_ends(line, tree);
	if (tree == IMAGE_V4)
		line->v4_branch.children = parts[0].ref;
	else
		line->v6_branch.children = parts[0].ref;
	for (size_t i = 0; i < count; i++) {
		if (tree == IMAGE_V4)
			line->v4_branch.end[i] = (uint16_t)parts[i].end;
		else if (i < FW_V6_BRANCH - 1)
			line->v6_branch.end[i] = parts[i].end;
	}
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
		if (kind == FW_REF_LEAF)
			fill_leaf(line, tree, parts + i * width, in_node);
		else
			fill_branch(line, tree, parts + i * width, in_node);
		parts[i] = (struct image_part){.end = parts[i * width + in_node - 1].end,
					       .ref = kind | (uint32_t)(first + (int64_t)i)};
	}
	return (int64_t)nodes;
}

int64_t image_tree(struct image *image, enum image_tree tree, struct image_part *parts,
		   size_t count)
{
	size_t branch = tree == IMAGE_V4 ? FW_V4_BRANCH : FW_V6_BRANCH;
	int64_t nodes = (int64_t)count;

	if (count > 1)
		nodes = make_level(image, tree, FW_REF_LEAF,
				   tree == IMAGE_V4 ? FW_V4_LEAF : FW_V6_LEAF, parts, count);
	while (nodes > 1)
		nodes = make_level(image, tree, FW_REF_BRANCH, branch, parts, (size_t)nodes);
	return nodes < 0 ? nodes : (int64_t)parts[0].ref;
}

static uint32_t find_v4(const struct image *image, uint32_t address)
{
	uint32_t ref = image->lines[FW_LINE_V4 + (address >> 19)].ref[address >> 15 & 15], part;
	uint32_t key = address & 0x7fff;
	const union fw_line *line;

	while (ref & FW_REF_NODE) {
		line = &image->lines[ref & ~FW_REF_NODE];
		for (part = 0; part < FW_V4_LEAF - 1 && line->v4_leaf.end[part] < key; part++)
			;
		ref = ref & FW_REF_BRANCH ? line->v4_branch.children + part
					  : line->v4_leaf.rule[part];
	}
	return ref;
}

static uint32_t find_v6(const struct image *image, const struct fw_addr *addr)
{
	uint32_t ref = image->lines[0].head.root_v6, part;
	const union fw_line *line;
	uint64_t half[2], key;

	memcpy(half, addr, sizeof(half));
	key = be64toh(half[0]);
	while (ref & FW_REF_NODE) {
		line = &image->lines[ref & ~FW_REF_NODE];
		part = 0;
		if (ref & FW_REF_BRANCH) {
			while (part < FW_V6_BRANCH - 1 && line->v6_branch.end[part] < key)
				part++;
			ref = line->v6_branch.children + part;
		} else {
			while (part < FW_V6_LEAF - 1 && line->v6_leaf.end[part] < key)
				part++;
			ref = line->v6_leaf.ref[part];
			key = be64toh(half[1]);
		}
	}
	return ref;
}

uint32_t image_find(const struct image *image, const struct fw_addr *addr)
{
	return fw_addr_is_v4(addr) ? find_v4(image, ntohl(addr->word[3])) : find_v6(image, addr);
}
