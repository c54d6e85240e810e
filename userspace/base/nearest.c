/* SPDX-License-Identifier: BSD-2-Clause */
/* How near is said by Levenshtein's distance: letters that are wrong, missing or too many. */
#include <string.h>
#include "base/nearest.h"

#define NAME_SIZE 63

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Names longer than NAME_SIZE count as far. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_SIZE + 1], length = strlen(b), above, left;

	if (length > NAME_SIZE)
		return NAME_SIZE;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		above = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			left = above + (a[i] != b[j]);
			above = row[j + 1];
			row[j + 1] = least(left, least(above, row[j]) + 1);
		}
	}
	return row[length];
}

struct nearest nearest_to(const char *word)
{
	return (struct nearest){.word = word, .distance = strlen(word) / 3 + 2};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t found = distance(nearest->word, name);

	if (found >= nearest->distance)
		return;
	nearest->distance = found;
	nearest->name = name;
}
