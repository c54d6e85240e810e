/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file's text as the operator wrote it: which blocks it opens on which lines, and which
 * statement stands where.
 *
 * libConfuse stops at the first name it does not know, and does not say where a block began. With
 * this map a statement that was complained about can be erased (blanked, so that no line moves) and
 * the rest be read, and a diagnostic can name the blocks around it. Nothing is judged here.
 */
#ifndef CONFIG_READ_SOURCE_H
#define CONFIG_READ_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#define SOURCE_ROOT (-1)

struct source_block {
	char *name, *title; /* title: NULL if it has none */
	int parent;         /* index, or SOURCE_ROOT */
	int line;
};

struct source {
	char *text; /* comments blanked: libConfuse's count of lines slips at C comments */
	struct source_block *blocks; /* in the order they open */
	size_t count;
	int unclosed; /* the innermost block that the text ends in, or SOURCE_ROOT */
};

/* Copies @text. −ENOMEM. */
int source_open(struct source *source, const char *text);
void source_close(struct source *source);

/* The @nth block called @name directly inside @parent, or −1. */
int source_block_find(const struct source *source, int parent, const char *name, size_t nth);
/* The block around the first statement on @line that begins with @name; false: there is none. */
bool source_statement_find(const struct source *source, const char *name, int line, int *parent);
/* Blanks that statement, with its value or whole block. False: there is none. */
bool source_statement_erase(struct source *source, const char *name, int line);
/* "listener https: source." for a block, "" for the root: what goes in front of an option's name.
 */
const char *source_block_label(const struct source *source, int block, char *buffer, size_t size);
/* The same for what is said about the block as a whole: "listener https: source: ". */
const char *source_block_name(const struct source *source, int block, char *buffer, size_t size);

#endif
