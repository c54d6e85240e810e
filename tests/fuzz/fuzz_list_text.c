/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file for a named list. Whatever is in it: it is read, or refused with a diagnostic that names
 * file and line; and what was read, compiled, is found again where each entry begins and ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "contract/list_text.h"
#include "wall/listing/listing.h"

#define NOW 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fw_addr last_of(const struct fw_listed *entry)
{
	struct fw_addr last = entry->addr;
	uint8_t *bytes = (uint8_t *)&last;

	for (uint32_t bit = entry->length; bit < 128; bit++) {
		if (bytes[bit / 8] & 0x80 >> bit % 8)
			abort(); /* a host bit is set */
		bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return last;
}

static void check(const struct fw_listed *given, struct fw_listed *entries, size_t count)
{
	struct listing_source sources[FW_LISTS_MAX] = {{.row = {.name = "fuzz"}}};
	struct image image;

	sources[0].entries = entries;
	sources[0].count = count;
	listing_tidy(entries, &sources[0].count, &sources[0].row);
	if (sources[0].count + sources[0].row.duplicates + sources[0].row.covered != count ||
	    listing_compile(sources, NOW, &image, NULL) < 0)
		abort();
	for (size_t i = 0; i < count; i++) {
		struct fw_addr last = last_of(&given[i]);

		if (given[i].length > 128 || (given[i].expires_s && given[i].expires_s <= NOW) ||
		    image_find(&image, &given[i].addr) == FW_RULE_NONE ||
		    image_find(&image, &last) == FW_RULE_NONE)
			abort();
	}
	image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list_text text = {.name = "fuzz", .now_s = NOW};
	struct fw_listed *entries, *given;
	struct error error = {""};
	FILE *file = size ? fmemopen((void *)data, size, "r") : NULL;
	size_t count;

	if (!file)
		return 0;
	if (list_text_read(&text, file, &entries, &count, &error) == 0) {
		given = calloc(count + 1, sizeof(*given));
		if (count)
			memcpy(given, entries, count * sizeof(*given));
		check(given, entries, count);
		free(given);
		free(entries);
	} else if (entries || count || strncmp(error.text, "fuzz:", 5) != 0) {
		abort();
	}
	fclose(file);
	return 0;
}
