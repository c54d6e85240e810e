// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/care/health_rows.h"
#include <string.h>
#include "base/clock.h"

#define ABANDONED_NS (3 * CLOCK_SEC) /* after their last change: there are two a second */

enum fw_server_state health_state(const struct server *server, uint64_t now_ns)
{
	if (!server_is_there(server))
		return FW_SERVER_NOWHERE;
	if (atomic_load_explicit(&server->unhealthy, memory_order_relaxed))
		return FW_SERVER_DOWN;
	if (atomic_load_explicit(&server->ejected_until_ns, memory_order_relaxed) > now_ns)
		return FW_SERVER_EJECTED;
	if (atomic_load_explicit(&server->probation, memory_order_relaxed))
		return FW_SERVER_TRIAL;
	return FW_SERVER_UP;
}

/* Texts are cut to what a row has room for. */
static void describe(const struct health_row *row, struct fw_server *shown)
{
	const struct server *server = row->server;

	*shown = (struct fw_server){.named = server->config->host != NULL};
	strncpy(shown->upstream, server->health->upstream, sizeof(shown->upstream) - 1);
	strncpy(shown->server, server->config->address, sizeof(shown->server) - 1);
}

static bool is_same(const struct fw_server *a, const struct fw_server *b)
{
	return !strcmp(a->upstream, b->upstream) && !strcmp(a->server, b->server);
}

/* What the same server had in the rows before; a name's places follow one another. */
static void inherit(struct health_row *row, const struct fw_server *own,
		    const struct fw_server *before, uint32_t slot)
{
	for (uint32_t i = 0; i < FW_SERVERS_MAX; i++) {
		if (!before[i].generation || !is_same(&before[i], own) || slot--)
			continue;
		row->requests = before[i].requests;
		row->ejections = before[i].ejections;
		row->checks_failed = before[i].checks_failed;
		row->lookups_failed = before[i].lookups_failed;
		return;
	}
}

static void write_figures(struct health_row *row, volatile struct fw_server *shown, uint64_t now_ns)
{
	const struct server *server = row->server;
	enum fw_server_state state = health_state(server, now_ns);
	struct fw_addr address;
	uint16_t port;

	if (state != row->state)
		row->state_ns = now_ns;
	row->state = state;
	if (!server_address(server, &address, &port)) {
		address = (struct fw_addr){0};
		port = server->config->port;
	}
	for (int i = 0; i < 4; i++)
		shown->addr.word[i] = address.word[i];
	shown->port = port;
	shown->state = state;
	shown->state_ns = row->state_ns;
	shown->panic = atomic_load_explicit(&server->panic, memory_order_relaxed);
	shown->open = atomic_load_explicit(&server->open, memory_order_relaxed);
	shown->active = atomic_load_explicit(&server->active, memory_order_relaxed);
	shown->latency_ns = atomic_load_explicit(&server->latency_ns, memory_order_relaxed);
	shown->requests =
		row->requests + atomic_load_explicit(&server->requests, memory_order_relaxed);
	shown->ejections = row->ejections + atomic_load(&server->ejections);
	shown->checks_failed = row->checks_failed + atomic_load(&server->checks_failed);
	if (row->name) {
		shown->lookups_failed = row->lookups_failed + row->name->lookups_failed;
		shown->addresses_left_out = row->name->left_out;
	}
	shown->written_ns = now_ns;
}

/* Whoever reads meanwhile sees that the row is being taken over. */
static void take_over(volatile struct fw_server *shown, const struct fw_server *own,
		      uint64_t generation)
{
	shown->generation = 0;
	atomic_thread_fence(memory_order_release);
	memcpy((char *)shown + sizeof(shown->generation),
	       (const char *)own + sizeof(own->generation), sizeof(*own) - sizeof(own->generation));
	atomic_thread_fence(memory_order_release);
	shown->generation = generation;
}

static void write_all(struct health_rows *rows, uint64_t now_ns)
{
	for (uint32_t i = 0; i < rows->count; i++)
		write_figures(&rows->rows[i], &rows->shown[i], now_ns);
}

void health_rows_open(struct health_rows *rows, uint64_t now_ns)
{
	struct fw_server before[FW_SERVERS_MAX], own;

	memcpy(before, (const void *)rows->shown, sizeof(before));
	for (uint32_t i = 0; i < FW_SERVERS_MAX; i++) {
		before[i].upstream[FW_NAME_SIZE - 1] = before[i].server[FW_SERVER_TEXT - 1] = '\0';
		if (i >= rows->count) {
			rows->shown[i].generation = 0;
			continue;
		}
		describe(&rows->rows[i], &own);
		if (!rows->opened)
			inherit(&rows->rows[i], &own, before, rows->rows[i].server->config->slot);
		rows->rows[i].state = health_state(rows->rows[i].server, now_ns);
		take_over(&rows->shown[i], &own, rows->generation);
	}
	rows->opened = true;
	write_all(rows, now_ns);
}

/* The first row tells who has them all. */
static bool are_ours(const struct health_rows *rows)
{
	return rows->count && rows->shown[0].generation == rows->generation;
}

/* Whoever took them over has given them up, or is no more. */
static bool are_nobodys(const struct health_rows *rows, uint64_t now_ns)
{
	return rows->count &&
	       (!rows->shown[0].generation || rows->shown[0].written_ns + ABANDONED_NS < now_ns);
}

void health_rows_show(struct health_rows *rows, uint64_t now_ns)
{
	if (are_ours(rows))
		write_all(rows, now_ns);
	else if (are_nobodys(rows, now_ns))
		health_rows_open(rows, now_ns);
}

void health_rows_close(struct health_rows *rows)
{
	if (!are_ours(rows))
		return;
	for (uint32_t i = 0; i < rows->count; i++)
		rows->shown[i].generation = 0;
}
