/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One (worker, service) row of the board: times each verdict was given, and the figures of
 * metrics.def. The worker is the row's only writer, so counting is a plain load and store; readers
 * may be anywhere.
 */
#ifndef PROXY_GUARD_BOARD_H
#define PROXY_GUARD_BOARD_H

#include <stdint.h>
#include "contract/rows.h"
#include "floodwall.h"

struct board_row {
	volatile uint64_t *cell;
};

static inline struct board_row board_row(volatile uint64_t *board, uint32_t worker,
					 uint32_t service)
{
	return (struct board_row){board + fw_board_verdict(worker, service, 0)};
}

static inline void board_count(struct board_row row, enum fw_verdict verdict)
{
	row.cell[verdict] = row.cell[verdict] + 1;
}

static inline void board_add(struct board_row row, enum fw_metric metric, uint64_t amount)
{
	row.cell[FW_VERDICTS_MAX + metric] = row.cell[FW_VERDICTS_MAX + metric] + amount;
}

static inline void board_set(struct board_row row, enum fw_metric metric, uint64_t value)
{
	row.cell[FW_VERDICTS_MAX + metric] = value;
}

#endif
