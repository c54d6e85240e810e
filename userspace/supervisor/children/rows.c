// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/children/rows.h"

static uint64_t mask(struct row_range range)
{
	return (range.count < 64 ? (1ULL << range.count) - 1 : ~0ULL) << range.first;
}

bool rows_claim(struct rows *rows, struct row_range range)
{
	if (!range.count || range.count > FW_WORKERS_MAX ||
	    range.first > FW_WORKERS_MAX - range.count || (rows->taken & mask(range)))
		return false;
	rows->taken |= mask(range);
	return true;
}

bool rows_take(struct rows *rows, uint32_t count, struct row_range *range)
{
	*range = (struct row_range){.count = count};
	for (; range->first + count <= FW_WORKERS_MAX; range->first++)
		if (rows_claim(rows, *range))
			return true;
	return false;
}

void rows_give(struct rows *rows, struct row_range range)
{
	rows->taken &= ~mask(range);
}
