// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/care/caretaker.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "proxy/net/tls/tls.h"
#include "proxy/upstream/care/health_check.h"
#include "proxy/upstream/care/health_rows.h"
#include "proxy/upstream/care/resolve.h"
#include "proxy/upstream/care/resolve_set.h"

#define SHOW_NS       (500 * CLOCK_MS)
#define LOOK_NS       CLOCK_SEC /* at latencies */
#define FIRST_WAIT_NS CLOCK_SEC /* for names, before anybody is served */
#define RETRY_MAX_NS  (30 * CLOCK_SEC)

/* A server that has a name, with its places. */
struct name {
	struct resolve resolve;
	struct caretaker *caretaker;
	struct server *places;
	struct health_check *checks; /* of those; NULL: there are none */
	uint32_t count;
	struct timer timer; /* of the next lookup */
	uint32_t failures;  /* in a row */
	bool asked;         /* the first lookup is over */
	struct health_name_row row;
};

struct caretaker {
	struct loop loop;
	struct pool_budget budget; /* of TLS: what there is grows with servers, not with clients */
	struct buffers buffers;
	struct tls_engine *tls; /* NULL: no server has it */
	const struct config *config;
	struct upstream_shared **upstreams;
	struct health_rows rows;
	struct health_check *checks;
	uint32_t check_count;
	struct name *names;
	uint32_t name_count, names_asked;
	struct timer show, wait;
	uint64_t looked_ns;
	pthread_t thread;
	bool running;
	atomic_bool stopping;
};

static struct server *servers_of(const struct caretaker *caretaker, size_t upstream,
				 uint32_t *count)
{
	return upstream_servers(caretaker->upstreams[upstream], count);
}

/* --- names -------------------------------------------------------------------------------------
 */

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* After failures sooner than the TTL would have it, but less and less so. */
static uint64_t next_lookup_ns(const struct name *name, uint64_t ttl_ms)
{
	const struct config_resolver *config = name->resolve.config;
	uint64_t least_ns = config->min_ttl_ms * CLOCK_MS, most_ns = config->max_ttl_ms * CLOCK_MS;
	uint64_t wait_ns;

	if (!name->failures)
		return clamp(ttl_ms, config->min_ttl_ms, config->max_ttl_ms) * CLOCK_MS;
	wait_ns = least_ns << (name->failures < 16 ? name->failures - 1 : 15);
	if (most_ns > RETRY_MAX_NS && least_ns < RETRY_MAX_NS)
		most_ns = RETRY_MAX_NS;
	return clamp(wait_ns, least_ns, most_ns);
}

static const char *upstream_of(const struct name *name)
{
	return name->places->health->upstream;
}

static bool has_addresses(const struct name *name)
{
	for (uint32_t i = 0; i < name->count; i++)
		if (server_is_there(&name->places[i]))
			return true;
	return false;
}

/* Said once, and once more when it is over. */
static void note_failure(struct name *name, const char *why)
{
	name->row.lookups_failed++;
	if (!name->failures++)
		log_warning("upstream %s: %s can't be resolved: %s; %s", upstream_of(name),
			    name->places->config->host, why,
			    has_addresses(name) ? "its last addresses are kept"
						: "it is down until it can");
}

static void hasten_checks(struct name *name)
{
	for (uint32_t i = 0; name->checks && i < name->count; i++)
		if (name->checks[i].version != server_version(&name->places[i]))
			health_check_hasten(&name->checks[i]);
}

static void take_addresses(struct name *name, const struct resolve_answer *answer)
{
	uint64_t now_ns = name->caretaker->loop.now_ns;
	struct resolve_change change = resolve_assign(name->places, name->count, answer->address,
						      answer->count, health_arrive, now_ns);
	uint32_t left_out = change.left_out + answer->left_out;

	if (name->failures)
		log_info("upstream %s: %s is resolved again", upstream_of(name),
			 name->places->config->host);
	name->failures = 0;
	if (left_out && !name->row.left_out)
		log_warning("upstream %s: %s has %u addresses more than it may have (addresses = "
			    "%u)",
			    upstream_of(name), name->places->config->host, left_out, name->count);
	name->row.left_out = left_out;
	if (!change.arrived && !change.left)
		return;
	log_info("upstream %s: %s: %u addresses are new, %u are gone", upstream_of(name),
		 name->places->config->host, change.arrived, change.left);
	health_review(name->places->health, now_ns);
	hasten_checks(name);
}

static void stop_waiting(struct caretaker *caretaker)
{
	if (!caretaker->running)
		loop_stop(&caretaker->loop);
}

static void take_lookup(struct resolve *resolve, const struct resolve_answer *answer,
			const char *why)
{
	struct name *name = container_of(resolve, struct name, resolve);
	struct caretaker *caretaker = name->caretaker;

	if (answer)
		take_addresses(name, answer);
	else
		note_failure(name, why);
	timer_arm(&caretaker->loop.wheel, &name->timer,
		  caretaker->loop.now_ns + next_lookup_ns(name, answer ? answer->ttl_ms : 0));
	if (name->asked)
		return;
	name->asked = true;
	if (++caretaker->names_asked == caretaker->name_count)
		stop_waiting(caretaker);
}

static void ask(struct timer *timer)
{
	struct name *name = container_of(timer, struct name, timer);

	resolve_ask(&name->resolve, name->places->config->host);
}

static void end_wait(struct timer *timer)
{
	stop_waiting(container_of(timer, struct caretaker, wait));
}

/* --- now and then ------------------------------------------------------------------------------
 */

static void show(struct timer *timer)
{
	struct caretaker *caretaker = container_of(timer, struct caretaker, show);
	uint64_t now_ns = caretaker->loop.now_ns;
	bool look = now_ns - caretaker->looked_ns >= LOOK_NS;
	uint32_t count;

	for (size_t i = 0; i < caretaker->config->upstream_count; i++) {
		struct health *health = servers_of(caretaker, i, &count)->health;

		if (look)
			health_judge_latency(health, now_ns);
		health_review(health, now_ns);
	}
	if (look)
		caretaker->looked_ns = now_ns;
	health_rows_show(&caretaker->rows, now_ns);
	timer_arm(&caretaker->loop.wheel, timer, now_ns + SHOW_NS);
}

static void take_word(struct loop *loop)
{
	struct caretaker *caretaker = container_of(loop, struct caretaker, loop);

	if (atomic_load(&caretaker->stopping))
		loop_stop(loop);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

/* Names of @servers, each with as many places as follow it. */
static void open_names(struct caretaker *caretaker, struct server *servers, uint32_t count,
		       struct health_check *checks)
{
	for (uint32_t i = 0; i < count; i++) {
		struct name *name = &caretaker->names[caretaker->name_count];

		if (!servers[i].config->host || servers[i].config->slot)
			continue;
		caretaker->name_count++;
		name->caretaker = caretaker;
		name->places = &servers[i];
		name->checks = checks ? &checks[i] : NULL;
		for (name->count = 1;
		     i + name->count < count && servers[i + name->count].config->slot;)
			name->count++;
		resolve_init(&name->resolve, &caretaker->loop, &caretaker->config->resolver);
		name->resolve.done = take_lookup;
		name->timer.fire = ask;
		timer_arm(&caretaker->loop.wheel, &name->timer, caretaker->loop.now_ns);
	}
}

static void open_rows(struct caretaker *caretaker, struct server *servers, uint32_t count)
{
	struct health_rows *rows = &caretaker->rows;

	for (uint32_t i = 0; i < count && rows->count < FW_SERVERS_MAX; i++)
		rows->rows[rows->count++] = (struct health_row){.server = &servers[i]};
}

static void name_rows(struct caretaker *caretaker)
{
	for (uint32_t i = 0; i < caretaker->rows.count; i++)
		for (uint32_t n = 0; n < caretaker->name_count; n++)
			if (caretaker->rows.rows[i].server == caretaker->names[n].places)
				caretaker->rows.rows[i].name = &caretaker->names[n].row;
}

static int open_tls(struct caretaker *caretaker)
{
	caretaker->budget.limit = SIZE_MAX;
	buffers_init(&caretaker->buffers, &caretaker->budget);
	for (size_t i = 0; i < caretaker->config->upstream_count && !caretaker->tls; i++) {
		if (!caretaker->config->upstreams[i].tls.enabled)
			continue;
		caretaker->tls = tls_engine_create(&caretaker->budget, &caretaker->buffers);
		if (!caretaker->tls)
			return -ENOMEM;
	}
	return 0;
}

static int allocate(struct caretaker *caretaker)
{
	size_t servers = 1, checked = 1, named = 1;

	for (size_t i = 0; i < caretaker->config->upstream_count; i++) {
		const struct config_upstream *upstream = &caretaker->config->upstreams[i];

		servers += upstream->server_count;
		if (upstream->health.check != CHECK_NONE)
			checked += upstream->server_count;
		for (size_t s = 0; s < upstream->server_count; s++)
			named += upstream->servers[s].host && !upstream->servers[s].slot;
	}
	caretaker->rows.rows = calloc(servers, sizeof(*caretaker->rows.rows));
	caretaker->checks = calloc(checked, sizeof(*caretaker->checks));
	caretaker->names = calloc(named, sizeof(*caretaker->names));
	return caretaker->rows.rows && caretaker->checks && caretaker->names ? 0 : -ENOMEM;
}

static void open_upstream(struct caretaker *caretaker, size_t index)
{
	const struct config_upstream *config = &caretaker->config->upstreams[index];
	struct health_check *checks = NULL;
	struct server *servers;
	uint32_t count;

	servers = servers_of(caretaker, index, &count);
	if (config->health.check != CHECK_NONE) {
		checks = &caretaker->checks[caretaker->check_count];
		caretaker->check_count += count;
		for (uint32_t i = 0; i < count; i++)
			health_check_start(&checks[i], &caretaker->loop, caretaker->tls,
					   &servers[i], config);
	}
	open_names(caretaker, servers, count, checks);
	open_rows(caretaker, servers, count);
}

/* In the caller's thread: nobody is served yet. */
static int await_names(struct caretaker *caretaker)
{
	int code = 0;

	if (!caretaker->name_count)
		return 0;
	timer_arm(&caretaker->loop.wheel, &caretaker->wait, caretaker->loop.now_ns + FIRST_WAIT_NS);
	code = loop_run(&caretaker->loop);
	timer_cancel(&caretaker->loop.wheel, &caretaker->wait);
	caretaker->loop.stopped = false;
	return code;
}

int caretaker_create(const struct config *config, struct upstream_shared **upstreams,
		     volatile struct fw_server *shown, struct caretaker **result,
		     struct error *error)
{
	struct caretaker *caretaker = calloc(1, sizeof(*caretaker));
	int code = caretaker ? loop_init(&caretaker->loop) : -ENOMEM;

	if (code < 0) {
		free(caretaker);
		return error_set(error, code, "caretaker: %s", strerror(-code));
	}
	caretaker->config = config;
	caretaker->upstreams = upstreams;
	caretaker->loop.woken = take_word;
	caretaker->show.fire = show;
	caretaker->wait.fire = end_wait;
	caretaker->rows.shown = shown;
	code = allocate(caretaker);
	if (code == 0)
		code = open_tls(caretaker);
	if (code == 0)
		code = resolve_prepare();
	for (size_t i = 0; i < config->upstream_count && code == 0; i++)
		open_upstream(caretaker, i);
	if (code == 0)
		code = await_names(caretaker);
	if (code < 0) {
		caretaker_free(caretaker);
		return error_set(error, code, "caretaker: %s", strerror(-code));
	}
	name_rows(caretaker);
	caretaker->rows.generation = caretaker->loop.now_ns;
	health_rows_open(&caretaker->rows, caretaker->loop.now_ns);
	timer_arm(&caretaker->loop.wheel, &caretaker->show, caretaker->loop.now_ns);
	*result = caretaker;
	return 0;
}

static void *run(void *argument)
{
	struct caretaker *caretaker = argument;
	int code;

	prctl(PR_SET_NAME, "caretaker");
	code = loop_run(&caretaker->loop);
	if (code < 0) {
		/* Servers would stay as they were last seen; a new process serves better. */
		log_error("caretaker: event loop: %s", strerror(-code));
		_exit(EXIT_FAILURE);
	}
	return NULL;
}

int caretaker_start(struct caretaker *caretaker)
{
	sigset_t all, before;
	int code;

	/* It begins with all of them blocked. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = -pthread_create(&caretaker->thread, NULL, run, caretaker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	caretaker->running = code == 0;
	return code;
}

void caretaker_free(struct caretaker *caretaker)
{
	if (!caretaker)
		return;
	if (caretaker->running) {
		atomic_store(&caretaker->stopping, true);
		loop_wake(&caretaker->loop);
		pthread_join(caretaker->thread, NULL);
	}
	for (uint32_t i = 0; i < caretaker->check_count; i++)
		health_check_stop(&caretaker->checks[i]);
	for (uint32_t i = 0; i < caretaker->name_count; i++)
		resolve_cancel(&caretaker->names[i].resolve);
	if (caretaker->rows.generation)
		health_rows_close(&caretaker->rows);
	loop_destroy(&caretaker->loop);
	tls_engine_free(caretaker->tls);
	buffers_destroy(&caretaker->buffers);
	free(caretaker->names);
	free(caretaker->checks);
	free(caretaker->rows.rows);
	free(caretaker);
}
