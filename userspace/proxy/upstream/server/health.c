// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/server/health.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "contract/address.h"

enum {
	LOOKS_AT_SLOW = 3,         /* looks in a row that must find a server slow */
	RESPONSES_TO_JUDGE_BY = 5, /* between two looks */
	PEERS_TO_JUDGE_BY = 2,
};

#define SLOWER_NS (5 * CLOCK_MS) /* what is less slower than this harms nobody */

void health_init(struct health *health, const struct config_upstream *config,
		 struct server *servers, uint32_t count)
{
	health->upstream = config->name;
	health->policy = config->ejection;
	health->checks = config->health;
	health->servers = servers;
	health->count = count;
	atomic_flag_clear(&health->deciding);
	for (uint32_t i = 0; i < count; i++)
		server_init(&servers[i], &config->servers[i], health);
}

/* --- words -------------------------------------------------------------------------------------
 */

#define NAME_SIZE (ADDRESS_TEXT_SIZE + 320)

/* "app: server 192.0.2.1:8000", or by name, with the address that it has now. */
static const char *name(const struct server *server, char text[NAME_SIZE])
{
	char at[ADDRESS_TEXT_SIZE];
	struct fw_addr address;
	uint16_t port;

	if (server->config->host && server_address(server, &address, &port))
		snprintf(text, NAME_SIZE, "%s: server %s (%s)", server->health->upstream,
			 server->config->address, address_format(&address, at));
	else
		snprintf(text, NAME_SIZE, "%s: server %s", server->health->upstream,
			 server->config->address);
	return text;
}

static const char *const reasons[] = {
	[SERVER_REFUSED] = "can't be connected to",
	[SERVER_FAILED] = "answers with errors",
	[SERVER_BROKE] = "breaks connections off",
	[SERVER_TIMEOUT] = "does not answer in time",
};

/* --- panic -------------------------------------------------------------------------------------
 */

static bool is_out(const struct server *server, uint64_t now_ns)
{
	return atomic_load_explicit(&server->probation, memory_order_relaxed) ||
	       atomic_load_explicit(&server->ejected_until_ns, memory_order_relaxed) > now_ns;
}

static bool is_well(const struct server *server, uint64_t now_ns)
{
	return !is_out(server, now_ns) &&
	       !atomic_load_explicit(&server->unhealthy, memory_order_relaxed);
}

/* Whether so many servers of a priority are well that all requests can be left to them. */
static bool are_enough_well(const struct health *health, uint32_t priority, uint64_t now_ns)
{
	uint32_t there = 0, well = 0;

	for (uint32_t i = 0; i < health->count; i++) {
		const struct server *server = &health->servers[i];

		if (server->config->priority != priority || !server_is_there(server))
			continue;
		there++;
		well += is_well(server, now_ns);
	}
	return well && well * 100 >= there * health->policy.panic;
}

/* One priority that is well stands in for all others (balance.h). */
static bool is_panic(const struct health *health, uint64_t now_ns)
{
	for (uint32_t priority = 0; priority < CONFIG_PRIORITIES; priority++)
		if (are_enough_well(health, priority, now_ns))
			return false;
	return true;
}

void health_review(struct health *health, uint64_t now_ns)
{
	bool panic = is_panic(health, now_ns);

	for (uint32_t i = 0; i < health->count; i++)
		if (atomic_load_explicit(&health->servers[i].panic, memory_order_relaxed) != panic)
			atomic_store_explicit(&health->servers[i].panic, panic,
					      memory_order_relaxed);
}

/* --- ejection ----------------------------------------------------------------------------------
 */

static bool others_stand_in(const struct server *server, uint64_t now_ns)
{
	for (uint32_t priority = 0; priority < CONFIG_PRIORITIES; priority++)
		if (priority != server->config->priority &&
		    are_enough_well(server->health, priority, now_ns))
			return true;
	return false;
}

/* Whether it may be out as well: a share of those there are, but one in any case; any number while
 * servers of another priority are well. */
static bool may_eject(const struct server *server, uint64_t now_ns)
{
	const struct health *health = server->health;
	uint32_t there = 0, out = 0, most;

	if (others_stand_in(server, now_ns))
		return health->policy.max_ejected;
	for (uint32_t i = 0; i < health->count; i++) {
		there += server_is_there(&health->servers[i]);
		out += server_is_there(&health->servers[i]) && is_out(&health->servers[i], now_ns);
	}
	most = there * health->policy.max_ejected / 100;
	return health->policy.max_ejected && out < (most ? most : 1);
}

/* For longer each time, unless it was well for a long time since the last one. */
static uint64_t ejection_ns(struct server *server, uint64_t now_ns)
{
	const struct config_ejection *policy = &server->health->policy;
	uint64_t up_since_ns = atomic_load(&server->up_since_ns), time_ms;
	uint32_t times = atomic_load(&server->ejected_times) + 1;

	if (!atomic_load(&server->probation) &&
	    now_ns - up_since_ns > policy->max_time_ms * CLOCK_MS)
		times = 1;
	time_ms = times * policy->time_ms;
	if (time_ms > policy->max_time_ms)
		return policy->max_time_ms * CLOCK_MS;
	atomic_store(&server->ejected_times, times);
	return time_ms * CLOCK_MS;
}

/* Returns for how long; 0: it is out already, or may not be. */
static uint64_t eject(struct server *server, uint64_t now_ns)
{
	struct health *health = server->health;
	uint64_t time_ns;

	if (atomic_load(&server->ejected_until_ns) > now_ns ||
	    (!atomic_load(&server->probation) && !may_eject(server, now_ns)))
		return 0;
	time_ns = ejection_ns(server, now_ns);
	atomic_store(&server->trials_passed, 0);
	atomic_store(&server->refused, 0);
	atomic_store(&server->failed, 0);
	atomic_store(&server->probation, true);
	atomic_store(&server->ejected_until_ns, now_ns + time_ns);
	atomic_fetch_add(&server->ejections, 1);
	health_review(health, now_ns);
	return time_ns;
}

static void try_to_eject(struct server *server, const char *why, uint64_t now_ns)
{
	char text[NAME_SIZE];
	uint64_t time_ns;

	if (atomic_flag_test_and_set(&server->health->deciding))
		return;
	time_ns = eject(server, now_ns);
	atomic_flag_clear(&server->health->deciding);
	if (time_ns)
		log_warning("upstream %s %s: ejected for %llu ms", name(server, text), why,
			    (unsigned long long)(time_ns / CLOCK_MS));
}

/* --- what requests show ------------------------------------------------------------------------
 */

static void recover(struct server *server, uint64_t now_ns)
{
	char text[NAME_SIZE];

	if (atomic_flag_test_and_set(&server->health->deciding))
		return;
	atomic_store(&server->up_since_ns, now_ns);
	atomic_store(&server->latency_ns, 0); /* of another time */
	atomic_store(&server->ejected_until_ns, 0);
	atomic_store(&server->probation, false);
	health_review(server->health, now_ns);
	atomic_flag_clear(&server->health->deciding);
	log_info("upstream %s is well again", name(server, text));
}

static void note_success(struct server *server, uint64_t now_ns)
{
	atomic_store_explicit(&server->refused, 0, memory_order_relaxed);
	atomic_store_explicit(&server->failed, 0, memory_order_relaxed);
	if (!atomic_load(&server->probation))
		return;
	/* While it is ejected only old requests come back; in a panic all are as good as new. */
	if (atomic_load(&server->ejected_until_ns) > now_ns && !atomic_load(&server->panic))
		return;
	if (atomic_fetch_add(&server->trials_passed, 1) + 1 >= server->health->policy.trials)
		recover(server, now_ns);
}

static void note_failure(struct server *server, enum server_outcome outcome, uint64_t now_ns)
{
	const struct config_ejection *policy = &server->health->policy;
	uint32_t failed = atomic_fetch_add(&server->failed, 1) + 1, refused = 0;

	if (outcome == SERVER_REFUSED)
		refused = atomic_fetch_add(&server->refused, 1) + 1;
	if (failed >= policy->failures || (refused && refused >= policy->refusals) ||
	    atomic_load(&server->probation))
		try_to_eject(server, reasons[outcome], now_ns);
}

void health_decide(struct server *server, enum server_outcome outcome, uint64_t now_ns)
{
	if (outcome == SERVER_ANSWERED)
		note_success(server, now_ns);
	else if (outcome == SERVER_CONNECTED)
		atomic_store_explicit(&server->refused, 0, memory_order_relaxed);
	else
		note_failure(server, outcome, now_ns);
}

/* --- what the caretaker sees -------------------------------------------------------------------
 */

void health_arrive(struct server *server, uint64_t now_ns)
{
	bool first = !server_version(server);

	atomic_store(&server->up_since_ns, first ? 0 : now_ns);
	atomic_store(&server->latency_ns, 0);
	atomic_store(&server->refused, 0);
	atomic_store(&server->failed, 0);
	atomic_store(&server->ejected_times, 0);
	atomic_store(&server->ejected_until_ns, 0);
	atomic_store(&server->probation, false);
	atomic_store(&server->unhealthy, false);
	server->slow_looks = 0;
}

void health_checked(struct server *server, bool healthy, const char *why, uint64_t now_ns)
{
	char text[NAME_SIZE];

	if (atomic_load(&server->unhealthy) == !healthy)
		return;
	if (healthy)
		atomic_store(&server->up_since_ns, now_ns);
	atomic_store(&server->unhealthy, !healthy);
	health_review(server->health, now_ns);
	if (healthy)
		log_info("upstream %s is up: %s", name(server, text), why);
	else
		log_warning("upstream %s is down: %s", name(server, text), why);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* The median of those in order, without number @one; the lower of two in the middle. */
static uint64_t median_without(const uint64_t *sorted, uint32_t count, uint32_t one)
{
	uint32_t middle = (count - 2) / 2;

	return sorted[middle < one ? middle : middle + 1];
}

/* Its latency, if enough responses came since the last look to speak of one; else 0. */
static uint64_t judged_latency(struct server *server, uint64_t now_ns)
{
	uint32_t responses = atomic_load_explicit(&server->responses, memory_order_relaxed);
	uint32_t fresh = responses - server->judged_responses;

	server->judged_responses = responses;
	if (fresh < RESPONSES_TO_JUDGE_BY || !server_is_there(server) || !is_well(server, now_ns))
		return 0;
	return atomic_load_explicit(&server->latency_ns, memory_order_relaxed);
}

static bool is_slow(const struct health *health, const uint64_t *sorted, uint32_t count,
		    uint64_t latency_ns)
{
	uint64_t median_ns;
	uint32_t place = 0;

	while (sorted[place] != latency_ns)
		place++;
	median_ns = median_without(sorted, count, place);
	return latency_ns > median_ns * health->policy.latency_factor &&
	       latency_ns > median_ns + SLOWER_NS;
}

void health_judge_latency(struct health *health, uint64_t now_ns)
{
	uint64_t latency[CONFIG_SERVERS_MAX], sorted[CONFIG_SERVERS_MAX];
	uint32_t count = 0;

	if (!health->policy.latency_factor)
		return;
	for (uint32_t i = 0; i < health->count; i++) {
		latency[i] = judged_latency(&health->servers[i], now_ns);
		if (latency[i])
			sorted[count++] = latency[i];
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	for (uint32_t i = 0; i < health->count; i++) {
		struct server *server = &health->servers[i];

		if (count > PEERS_TO_JUDGE_BY && latency[i] &&
		    is_slow(health, sorted, count, latency[i]))
			server->slow_looks++;
		else
			server->slow_looks = 0;
		if (server->slow_looks >= LOOKS_AT_SLOW) {
			server->slow_looks = 0;
			try_to_eject(server, "is much slower than its peers", now_ns);
		}
	}
}
