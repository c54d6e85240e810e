/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy's board: rows that its threads add to without a lock, since each has its own; a reader
 * adds the rows up, or takes the greatest where that is what the metric means. Rows of workers that
 * are no more keep their counts, so totals never fall.
 */
#include "wall/internal.h"

volatile uint64_t *wall_board(struct wall *wall)
{
	return wall->board;
}

uint64_t wall_board_verdict(struct wall *wall, uint32_t service, enum fw_verdict verdict)
{
	uint64_t sum = 0;

	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++)
		sum += wall->board[fw_board_verdict(worker, service, verdict)];
	return sum;
}

uint64_t wall_board_metric(struct wall *wall, uint32_t service, enum fw_metric metric)
{
	bool peak = metric_rows[metric].kind == METRIC_PEAK;
	uint64_t all = 0;

	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++) {
		uint64_t value = wall->board[fw_board_metric(worker, service, metric)];

		all = !peak ? all + value : value > all ? value : all;
	}
	return all;
}
