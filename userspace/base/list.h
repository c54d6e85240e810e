/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A doubly linked ring whose nodes live inside what they link: inserting and removing cost a few
 * stores, allocate nothing and can't fail. The head is a node too. A node is on one list at most;
 * a removed or initialised one points to itself, so removing it again is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *previous;
};

/* The struct that holds @node as its @member. */
#define container_of(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Every node of @head. The current one may be removed and freed on the way, no other. */
#define list_for_each_safe(node, following, head)                                                  \
	for (struct list *node = (head)->next, *following = node->next; node != (head);            \
	     node = following, following = node->next)

static inline void list_init(struct list *node)
{
	node->next = node->previous = node;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
	return node->next != node;
}

static inline void list_insert(struct list *head, struct list *node)
{
	node->next = head->next;
	node->previous = head;
	head->next->previous = node;
	head->next = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert(head->previous, node);
}

static inline void list_remove(struct list *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

/* Moves every node of @from to @to, which is initialised by it. */
static inline void list_take(struct list *to, struct list *from)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->previous = to;
	to->previous->next = to;
	list_init(from);
}

#endif
