/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who writes which rows of the board: each generation of the proxy has as many in succession as it
 * has threads, and no two that live at once share one. That is what lets threads count by a plain
 * addition, whoever else is draining meanwhile.
 */
#ifndef SUPERVISOR_CHILDREN_ROWS_H
#define SUPERVISOR_CHILDREN_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include "floodwall.h"

struct rows {
	uint64_t taken; /* a bit for each row */
};

struct row_range {
	uint32_t first, count;
};

_Static_assert(FW_WORKERS_MAX <= 64, "a bit for each row");

/* @count rows (at least one), the lowest there are. False: so many in succession are not free. */
bool rows_take(struct rows *rows, uint32_t count, struct row_range *range);
/* Those very rows, for whoever has them already. False: one is taken, or there is none such. */
bool rows_claim(struct rows *rows, struct row_range range);
void rows_give(struct rows *rows, struct row_range range);

#endif
