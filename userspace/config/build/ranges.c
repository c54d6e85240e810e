/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a listener treats otherwise than the rest of the world: lists of ranges.
 */
#include "config/build/build.h"
#include "contract/address.h"

struct fw_prefix *build_ranges(const struct site *site, const char *option, const char *danger,
			       size_t *count)
{
	size_t written_count = cfg_size(site->section, option);
	struct fw_prefix *ranges = build_alloc(written_count, sizeof(*ranges));

	*count = 0;
	for (size_t i = 0; i < written_count; i++) {
		const struct grammar_value *written = grammar_value(site->section, option, i);
		struct fw_prefix range;
		struct error error;

		if (prefix_parse(written->text, &range, &error) < 0)
			site_complain_at(site, written->line, option, "%s", error.text);
		else if (range.length == (fw_addr_is_v4(&range.addr) ? 96 : 0))
			site_complain_at(site, written->line, option, "\"%s\" is everybody: %s",
					 written->text, danger);
		else
			ranges[(*count)++] = range;
	}
	return ranges;
}
