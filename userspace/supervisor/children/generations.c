// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/children/generations.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/roles.h"
#include "supervisor/state.h"

#define START_MS   10000           /* from its start until it serves */
#define GRACE_NS   (2 * CLOCK_SEC) /* to leave after draining, before it is killed */
#define PING_NS    CLOCK_SEC
#define HUNG_NS    (10 * CLOCK_SEC) /* without an answer: it never will */
#define ABSENT_NS  (30 * CLOCK_SEC) /* without a sign of life of any: this can't be mended here */
#define ORPHANS_NS (10 * CLOCK_SEC) /* besides the drain: until they are gone for certain */

/* --- rows of the board ----------------------------------------------------------------------- */

/* What a generation that is gone can't take back itself. */
static void clear_gauges(struct supervisor *supervisor, struct row_range rows)
{
	volatile uint64_t *board = wall_board(supervisor->held->wall);

	for (uint32_t worker = rows.first; worker < rows.first + rows.count; worker++)
		for (uint32_t service = 0; service < FW_SERVICES_MAX; service++)
			for (uint32_t metric = 0; metric < METRIC_COUNT; metric++)
				if (metric_rows[metric].kind == METRIC_GAUGE ||
				    metric_rows[metric].kind == METRIC_PEAK)
					board[fw_board_metric(worker, service, metric)] = 0;
}

static bool has_connections(struct supervisor *supervisor, uint32_t worker)
{
	volatile uint64_t *board = wall_board(supervisor->held->wall);

	for (uint32_t service = 0; service < FW_SERVICES_MAX; service++)
		if (board[fw_board_metric(worker, service, METRIC_CONNECTIONS_ACTIVE)])
			return true;
	return false;
}

void generations_clear_board(struct supervisor *supervisor, uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;

	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++)
		if (has_connections(supervisor, worker))
			proxies->orphans.taken |= 1ULL << worker;
	proxies->rows = proxies->orphans;
	proxies->orphans_until_ns =
		now_ns + ORPHANS_NS + supervisor->held->config->drain_ms * CLOCK_MS;
	clear_gauges(supervisor, (struct row_range){0, FW_WORKERS_MAX});
}

/* False: there are none. */
static bool take_orphans_rows(struct supervisor *supervisor)
{
	struct generations *proxies = &supervisor->proxies;
	uint64_t taken = proxies->orphans.taken;

	for (uint32_t worker = 0; worker < FW_WORKERS_MAX; worker++)
		if (taken & 1ULL << worker)
			clear_gauges(supervisor, (struct row_range){worker, 1});
	proxies->rows.taken &= ~taken;
	proxies->orphans.taken = 0;
	return taken != 0;
}

static void give_rows(struct supervisor *supervisor, struct generation *generation)
{
	clear_gauges(supervisor, generation->rows);
	rows_give(&supervisor->proxies.rows, generation->rows);
	generation->rows = (struct row_range){0};
}

/* --- those that drain ------------------------------------------------------------------------ */

static void publish_draining(struct supervisor *supervisor)
{
	atomic_store(&supervisor->roster->draining, supervisor->proxies.draining_count);
}

static void remove_draining(struct supervisor *supervisor, size_t index)
{
	struct generations *proxies = &supervisor->proxies;

	give_rows(supervisor, &proxies->draining[index]);
	proxies->draining_count--;
	memmove(&proxies->draining[index], &proxies->draining[index + 1],
		(proxies->draining_count - index) * sizeof(proxies->draining[0]));
	publish_draining(supervisor);
}

static void drain(struct generation *generation, enum order_word word, uint64_t ms, uint64_t now_ns)
{
	child_dismiss(&generation->child, word, (uint32_t)ms, now_ns + ms * CLOCK_MS + GRACE_NS);
}

/* The serving generation is told to leave, and nothing serves in its place yet. */
static void retire(struct supervisor *supervisor, enum order_word word, uint64_t drain_ms,
		   uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;
	struct generation *old = &proxies->draining[proxies->draining_count];

	if (!proxies->serving.rows.count)
		return;
	*old = proxies->serving;
	proxies->serving = (struct generation){.child = CHILD_INIT("proxy")};
	proxies->draining_count++;
	old->child.name = "proxy (draining)";
	drain(old, word, drain_ms, now_ns);
	if (!old->child.pid) /* it had just crashed */
		remove_draining(supervisor, proxies->draining_count - 1);
	publish_draining(supervisor);
}

/* Rows for one more generation; the oldest that drain are ended for them if need be. */
static bool make_room(struct supervisor *supervisor, uint32_t threads, struct row_range *rows)
{
	struct generations *proxies = &supervisor->proxies;

	while (!rows_take(&proxies->rows, threads, rows)) {
		struct generation *oldest = &proxies->draining[0];

		if (take_orphans_rows(supervisor))
			continue;
		if (!proxies->draining_count)
			return false;
		log_warning("proxy: %zu generations drain and the board has no rows for another: "
			    "generation %llu is ended with its connections",
			    proxies->draining_count, (unsigned long long)oldest->number);
		atomic_fetch_add(&supervisor->roster->drains_cut, 1);
		child_end(&oldest->child, clock_now_ns());
		remove_draining(supervisor, 0);
	}
	clear_gauges(supervisor, *rows);
	return true;
}

/* --- the one that serves --------------------------------------------------------------------- */

int generations_replace(struct supervisor *supervisor, const struct holdings *next,
			struct error *error)
{
	struct generations *proxies = &supervisor->proxies;
	struct generation new = {.child = CHILD_INIT("proxy")};
	int result;

	if (!next->config->listener_count) {
		retire(supervisor, ORDER_DRAIN, next->config->drain_ms, clock_now_ns());
		return 0;
	}
	if (!make_room(supervisor, next->config->threads, &new.rows))
		return error_set(error, -ENOSPC, "proxy: the board has no rows for %u threads",
				 next->config->threads);
	new.number = proxies->newest + 1;
	result = role_start_proxy(supervisor, &new.child, next, new.rows.first, clock_now_ns());
	if (result == 0 && !child_await_ready(&new.child, START_MS)) {
		child_end(&new.child, clock_now_ns());
		result = -ECHILD;
	}
	if (result < 0) {
		give_rows(supervisor, &new);
		return error_set(error, result,
				 "proxy: the new generation did not come up; the log says why");
	}
	proxies->newest = new.number;
	retire(supervisor, ORDER_DRAIN, next->config->drain_ms, clock_now_ns());
	proxies->serving = new;
	return 0;
}

bool generations_adopt(struct supervisor *supervisor, const struct generation *other,
		       bool is_serving)
{
	struct generations *proxies = &supervisor->proxies;
	struct generation *place =
		is_serving ? &proxies->serving : &proxies->draining[proxies->draining_count];

	if (!rows_claim(&proxies->rows, other->rows))
		return false;
	*place = *other;
	place->child.name = is_serving ? "proxy" : "proxy (draining)";
	proxies->draining_count += !is_serving;
	publish_draining(supervisor);
	return true;
}

/* --- as time goes by ------------------------------------------------------------------------- */

bool generations_reap(struct supervisor *supervisor, pid_t pid, int status, uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;

	if (pid == proxies->serving.child.pid) {
		clear_gauges(supervisor, proxies->serving.rows);
		if (child_ended(&proxies->serving.child, status, now_ns))
			atomic_fetch_add(&supervisor->roster->process[ROSTER_PROXY].crashes, 1);
		return true;
	}
	for (size_t i = 0; i < proxies->draining_count; i++) {
		if (proxies->draining[i].child.pid != pid)
			continue;
		if (child_ended(&proxies->draining[i].child, status, now_ns))
			atomic_fetch_add(&supervisor->roster->process[ROSTER_PROXY].crashes, 1);
		remove_draining(supervisor, i);
		return true;
	}
	return false;
}

static void attend_serving(struct supervisor *supervisor, uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;
	struct child *child = &proxies->serving.child;
	uint64_t since_ns;

	child_hear(child, now_ns);
	if (child->retry_ns && child->retry_ns <= now_ns)
		role_start_proxy(supervisor, child, supervisor->held, proxies->serving.rows.first,
				 now_ns);
	if (!child->pid || child->deadline_ns)
		return;
	since_ns = child->ready ? child->asked_ns : child->started_ns;
	if (since_ns && now_ns - since_ns >= HUNG_NS) {
		log_error("proxy: process %d has not answered for %llu s, and is killed",
			  (int)child->pid, (unsigned long long)(HUNG_NS / CLOCK_SEC));
		child_kill(child);
		child->asked_ns = 0;
	}
	if (now_ns - proxies->pinged_ns >= PING_NS) {
		proxies->pinged_ns = now_ns;
		child_ping(child, now_ns);
	}
}

void generations_attend(struct supervisor *supervisor, uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;

	attend_serving(supervisor, now_ns);
	if (now_ns >= proxies->orphans_until_ns)
		take_orphans_rows(supervisor);
	if (child_is_late(&proxies->serving.child, now_ns))
		child_kill(&proxies->serving.child);
	for (size_t i = 0; i < proxies->draining_count; i++)
		if (child_is_late(&proxies->draining[i].child, now_ns))
			child_kill(&proxies->draining[i].child);
}

bool generations_are_well(const struct supervisor *supervisor, uint64_t now_ns)
{
	const struct generation *serving = &supervisor->proxies.serving;

	return !serving->rows.count || now_ns - serving->child.heard_ns < ABSENT_NS;
}

uint64_t generations_wait(const struct supervisor *supervisor, uint64_t now_ns, uint64_t most)
{
	const struct generations *proxies = &supervisor->proxies;

	most = child_wait(&proxies->serving.child, now_ns, most);
	for (size_t i = 0; i < proxies->draining_count; i++)
		most = child_wait(&proxies->draining[i].child, now_ns, most);
	return most;
}

/* --- the end --------------------------------------------------------------------------------- */

void generations_dismiss(struct supervisor *supervisor, uint64_t now_ns)
{
	struct generations *proxies = &supervisor->proxies;
	uint64_t ms = supervisor->held->config->drain_ms;

	retire(supervisor, ORDER_STOP, ms, now_ns);
	for (size_t i = 0; i < proxies->draining_count; i++)
		drain(&proxies->draining[i], ORDER_STOP, ms, now_ns);
}

void generations_kill(struct supervisor *supervisor)
{
	struct generations *proxies = &supervisor->proxies;

	child_kill(&proxies->serving.child);
	for (size_t i = 0; i < proxies->draining_count; i++)
		child_kill(&proxies->draining[i].child);
}

bool generations_are_gone(const struct supervisor *supervisor)
{
	return !supervisor->proxies.serving.child.pid && !supervisor->proxies.draining_count;
}

void generations_forget(const struct generations *generations)
{
	if (generations->serving.child.control >= 0)
		close(generations->serving.child.control);
	for (size_t i = 0; i < generations->draining_count; i++)
		if (generations->draining[i].child.control >= 0)
			close(generations->draining[i].child.control);
}
