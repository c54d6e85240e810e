// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/overload/evict.h"
#include "proxy/client/admission/standing.h"
#include "proxy/client/exchange/exchange.h"
#include "proxy/client/front/http2.h"
#include "proxy/client/overload/score.h"
#include "proxy/client/relay.h"

enum {
	LOOKED_AT = 8,       /* at the front of a ward, if one of them is bad enough … */
	LOOKED_AT_MOST = 64, /* … and if none is */
	LISTENERS_LOOKED_AT = 8,
	EVICTIONS_PER_CHARGE = 8,
	EVICTIONS_FOR_WAITING = 8,
	EVICTIONS_AHEAD = 128,
	AHEAD_FROM = 90,        /* percent of memory … */
	AHEAD_TO = 85,          /* … down to which room is made */
	HOLDS_ENOUGH = 4096,    /* bytes: who holds less is not worth evicting for memory … */
	BUFFERS_ENOUGH = 16384, /* … or of whom the kernel does, for its own */
	STALLED_SCORE = 1000,   /* alone in his prefix: of who is idle after a second, of a slow
				   reader after half */
};

/* --- wards -------------------------------------------------------------------------------------
 */

static enum ward ward_of(const struct client *client)
{
	switch ((enum client_phase)client->phase) {
	case CLIENT_EXCHANGE:
	case CLIENT_RELAY:
		return WARD_BUSY;
	case CLIENT_LINGER:
		return WARD_NEW;
	case CLIENT_HTTP2:
		if (client->http2->stream_count)
			return WARD_BUSY;
		/* fallthrough */
	default:
		return client->requests ? WARD_IDLE : WARD_NEW;
	}
}

static void count_idle(const struct client *client, int change)
{
	if (client->ward != WARD_IDLE)
		return;
	client->listener->idle += (uint32_t)change;
	client_worker(client)->clients_idle += (uint32_t)change;
}

void evict_forget(struct client *client)
{
	if (list_is_linked(&client->node))
		count_idle(client, -1);
	list_remove(&client->node);
}

void evict_place(struct client *client)
{
	enum ward ward = ward_of(client);

	if (client_worker(client)->walking ||
	    (ward == client->ward && client->since_ns != client_now(client)))
		return;
	evict_forget(client);
	list_append(&client->listener->wards[ward], &client->node);
	client->ward = (uint8_t)ward;
	count_idle(client, 1);
}

/* --- the worst ---------------------------------------------------------------------------------
 */

struct search {
	uint64_t now_ns;
	uint32_t holds;   /* bytes at least */
	uint32_t buffers; /* bytes at least that the kernel holds for him, and he does not take */
	const struct account *asking;     /* who is not to be found */
	const struct upstream_pool *pool; /* only who holds a link of it; NULL: anybody */
	struct client *worst;
	uint64_t score; /* of the worst; before that, what it has to exceed */
};

static bool holds_link(const struct client *client, const struct upstream_pool *pool)
{
	const struct http2 *http2 = client->http2;

	if (client->relay)
		return client->relay->link && client->relay->link->pool == pool;
	if (!http2)
		return client->exchange && client->exchange->attempt.link &&
		       client->exchange->attempt.link->pool == pool;
	for (const struct list *node = http2->streams.next; node != &http2->streams;
	     node = node->next) {
		const struct exchange *exchange =
			container_of(node, struct http2_stream, node)->exchange;

		if (exchange && exchange->attempt.link && exchange->attempt.link->pool == pool)
			return true;
	}
	return false;
}

static void look_at(struct search *search, struct client *client)
{
	uint64_t score;

	if (client->account.held < search->holds || &client->account == search->asking)
		return;
	if (search->pool && !holds_link(client, search->pool))
		return;
	if (score_client(client, search->now_ns) <= search->score)
		return;
	if (search->buffers && (stream_buffered(&client->stream) < search->buffers ||
				!stream_is_stalled(&client->stream)))
		return;
	score = score_client_in_full(client, search->now_ns);
	if (score > search->score) {
		search->score = score;
		search->worst = client;
	}
}

static bool looks_on(const struct search *search, int looked_at)
{
	bool is_choosy = search->holds || search->buffers;

	return looked_at < LOOKED_AT ||
	       (looked_at < LOOKED_AT_MOST && (is_choosy || !search->worst));
}

static void look_at_ward(struct search *search, struct list *ward)
{
	int i = 0;

	for (struct list *node = ward->next; node != ward && looks_on(search, i++);
	     node = node->next)
		look_at(search, container_of(node, struct client, node));
}

/* Where their order says little: who was looked at goes to the end, so that soon everybody is. */
static void look_in_turn(struct search *search, struct list *ward)
{
	for (int i = 0; looks_on(search, i) && !list_is_empty(ward); i++) {
		struct list *node = ward->next;

		look_at(search, container_of(node, struct client, node));
		list_remove(node);
		list_append(ward, node);
	}
}

/* Of those who stand in the list whoever is of the source of the account that is asking. */
static void look_at_kin(struct search *search, struct list *kin)
{
	const struct tally_place source = search->asking->source;
	const struct list *last = kin->previous;

	for (int i = 0; i < LOOKED_AT_MOST && !list_is_empty(kin); i++) {
		struct list *node = kin->next;
		struct client *client = container_of(node, struct client, kin);

		if (tally_is_same(client->account.source, source))
			look_at(search, client);
		list_remove(node);
		list_append(kin, node);
		if (node == last)
			break;
	}
}

static void look_at_listener(struct search *search, struct listener *listener)
{
	look_at_ward(search, &listener->wards[WARD_NEW]);
	look_at_ward(search, &listener->wards[WARD_IDLE]);
	look_in_turn(search, &listener->wards[WARD_BUSY]);
}

static struct listener *next_listener(struct worker *worker)
{
	return &worker->listeners[worker->evict_next++ % worker->listener_count];
}

static void look_at_worker(struct search *search, struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count && i < LISTENERS_LOOKED_AT; i++)
		look_at_listener(search, next_listener(worker));
}

/* --- their end ---------------------------------------------------------------------------------
 */

static void end(struct client *client, enum fw_verdict reason)
{
	/* The reason for which he lingers was told already. */
	if (client->phase == CLIENT_LINGER)
		board_count(client->listener->board, reason);
	/* Who did nothing wrong is not to see an error. */
	if (client->ward == WARD_IDLE && client->phase != CLIENT_HEAD)
		client_close(client, reason);
	else
		client_reset(client, reason);
}

static void evict(struct client *client)
{
	static const enum fw_verdict reasons[WARDS] = {
		[WARD_NEW] = FW_EVICTED_NEW,
		[WARD_IDLE] = FW_EVICTED_IDLE,
		[WARD_BUSY] = FW_EVICTED_SLOW,
	};

	end(client, reasons[client->ward]);
}

static struct search search_listener(struct listener *listener, uint64_t score)
{
	struct search search = {.now_ns = listener->worker->loop.now_ns, .score = score};

	look_at_listener(&search, listener);
	return search;
}

uint64_t evict_worst_score(struct listener *listener)
{
	const struct search search = search_listener(listener, score_least_newcomer());

	return search.worst ? search.score : 0;
}

void evict_above(struct listener *listener, uint64_t score)
{
	const struct search search = search_listener(listener, score);

	if (search.worst)
		evict(search.worst);
}

/* How well off his source is: it has several connections here, or has had more than its part of the
 * thread (usage.h). */
static uint64_t advantage_of(const struct client *client)
{
	uint64_t connections = standing_connections(client->listener, &client->source);

	return connections >= STANDING_SEVERAL ? USAGE_LEVELS + connections
					       : client_turn_level(client);
}

/* What he has just said lies unread, and not for want of a right to be heard. That is asked of the
 * kernel: last. */
static bool waits_unheard(const struct client *client)
{
	return !client_is_put_off(client) && score_has_spoken(client);
}

/* Who is best off, of some of a ward. */
static void look_for_advantage(struct search *search, const struct list *ward)
{
	int i = 0;

	for (struct list *node = ward->next; node != ward && i++ < LOOKED_AT_MOST;
	     node = node->next) {
		struct client *client = container_of(node, struct client, node);
		uint64_t advantage = advantage_of(client);

		if (advantage > search->score && !waits_unheard(client)) {
			search->score = advantage;
			search->worst = client;
		}
	}
}

bool evict_for_newcomer(struct listener *listener, enum evict_scope scope,
			const struct fw_addr *source)
{
	struct search search = {
		.now_ns = listener->worker->loop.now_ns,
		.score = score_newcomer(listener, source),
	};

	if (scope == EVICT_OF_LISTENER)
		look_at_listener(&search, listener);
	else
		look_at_worker(&search, listener->worker);
	if (search.worst)
		evict(search.worst);
	return search.worst;
}

bool evict_for_first(struct listener *listener, const struct fw_addr *source)
{
	struct search search = {.score = standing_level(listener, source)};

	if (standing_has_another(listener, source))
		return false;
	look_for_advantage(&search, &listener->wards[WARD_NEW]);
	look_for_advantage(&search, &listener->wards[WARD_IDLE]);
	if (search.worst)
		evict(search.worst);
	return search.worst;
}

bool evict_for_link(struct client *asking, const struct upstream_pool *pool)
{
	struct worker *worker = client_worker(asking);
	uint64_t newcomer = score_newcomer(asking->listener, &asking->source);
	struct search search = {
		.now_ns = worker->loop.now_ns,
		.asking = &asking->account,
		.pool = pool,
		.score = score_client(asking, worker->loop.now_ns),
	};

	if (worker->walking)
		return false;
	if (search.score < newcomer)
		search.score = newcomer;
	look_at_worker(&search, worker);
	if (search.worst)
		evict(search.worst);
	return search.worst;
}

void evict_for_waiting(struct worker *worker, const struct upstream_pool *pool)
{
	for (int i = 0; i < EVICTIONS_FOR_WAITING && upstream_is_claimed(pool); i++) {
		struct search search = {
			.now_ns = worker->loop.now_ns,
			.pool = pool,
			.score = score_least_newcomer(),
		};

		look_at_worker(&search, worker);
		if (!search.worst)
			return;
		evict(search.worst);
	}
}

/* Evicts clients that hold memory, the worst first and whose score exceeds @score, until @wanted
 * bytes are free or @most of them are gone. */
static bool free_memory(struct worker *worker, size_t wanted, const struct account *asking,
			uint64_t score, int most)
{
	if (worker->walking)
		return false;
	while (!account_budget_has(&worker->budget, wanted)) {
		struct search search = {
			.now_ns = worker->loop.now_ns,
			.holds = HOLDS_ENOUGH,
			.asking = asking,
			.score = score,
		};

		if (most-- == 0)
			return false;
		look_at_worker(&search, worker);
		if (!search.worst)
			return false;
		evict(search.worst);
	}
	return true;
}

/* The same among those of the source of @asking, with this thread. */
static bool free_memory_of_source(struct client *asking, size_t wanted)
{
	struct worker *worker = client_worker(asking);
	uint64_t now_ns = worker->loop.now_ns;

	if (worker->walking)
		return false;
	for (int i = 0; !account_source_has(&asking->account, wanted); i++) {
		struct search search = {
			.now_ns = now_ns,
			.holds = HOLDS_ENOUGH,
			.asking = &asking->account,
			.score = score_client(asking, now_ns),
		};

		if (i == EVICTIONS_PER_CHARGE)
			return false;
		look_at_kin(&search, kin_of(&worker->kin, asking->account.source));
		if (!search.worst)
			return false;
		end(search.worst, FW_SOURCE_MEMORY);
	}
	return true;
}

bool evict_for_memory(struct account *account, enum shortage shortage, size_t bytes)
{
	struct client *asking = container_of(account, struct client, account);

	if (shortage == SHORTAGE_SOURCE)
		return free_memory_of_source(asking, bytes);
	return free_memory(client_worker(asking), bytes, account,
			   score_client(asking, client_now(asking)), EVICTIONS_PER_CHARGE);
}

void evict_ahead(struct worker *worker)
{
	size_t limit = worker->budget.limit;

	if (worker->budget.used > limit / 100 * AHEAD_FROM)
		free_memory(worker, limit / 100 * (100 - AHEAD_TO), NULL, 0, EVICTIONS_AHEAD);
}

/* The kernel would keep what he has not taken, and go on sending it, if his connection were closed
 * in order. */
static void evict_with_buffers(struct client *client)
{
	if (client->ward == WARD_IDLE)
		client_reset(client, FW_EVICTED_IDLE);
	else
		evict(client);
}

uint64_t evict_for_sockets(struct worker *worker)
{
	struct search search = {
		.now_ns = worker->loop.now_ns,
		.buffers = BUFFERS_ENOUGH,
		.score = STALLED_SCORE,
	};
	uint64_t freed;

	/* Of those who are idle it is not who has been so for longest that has not taken his
	 * answer. */
	for (size_t i = 0; i < worker->listener_count && i < LISTENERS_LOOKED_AT; i++) {
		struct listener *listener = next_listener(worker);

		look_in_turn(&search, &listener->wards[WARD_IDLE]);
		look_in_turn(&search, &listener->wards[WARD_BUSY]);
	}
	if (!search.worst)
		return 0;
	freed = stream_buffered(&search.worst->stream);
	evict_with_buffers(search.worst);
	return freed;
}
