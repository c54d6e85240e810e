// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/care/resolve.h"
#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "contract/address.h"

enum {
	TRIES = 2,    /* of each resolver */
	PATIENCE = 4, /* times the timeout of one try, whatever c-ares is still hoping for */
	SERVERS_TEXT = 8 * (ADDRESS_TEXT_SIZE + 8),
};

int resolve_prepare(void)
{
	return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? 0 : -ENOMEM;
}

/* --- the end of a question ---------------------------------------------------------------------
 */

static void let_go(struct resolve *resolve)
{
	ares_channel channel = resolve->channel;

	resolve->channel = NULL;
	timer_cancel(&resolve->loop->wheel, &resolve->timer);
	if (channel)
		ares_destroy(channel);
}

/* Never from within c-ares, which would then find its channel gone. */
static void finish(struct resolve *resolve)
{
	const struct resolve_answer *answer = resolve->why ? NULL : &resolve->answer;

	let_go(resolve);
	resolve->done(resolve, answer, resolve->why);
}

void resolve_cancel(struct resolve *resolve)
{
	let_go(resolve);
}

/* --- its sockets and timers --------------------------------------------------------------------
 */

/* Goes on when c-ares wants to, or finishes. */
static void go_on(struct resolve *resolve)
{
	struct timeval least, *next;
	uint64_t at_ns = resolve->until_ns, next_ns;

	if (resolve->answered) {
		finish(resolve);
		return;
	}
	next = ares_timeout(resolve->channel, NULL, &least);
	if (next) {
		next_ns = resolve->loop->now_ns + (uint64_t)next->tv_sec * CLOCK_SEC +
			  (uint64_t)next->tv_usec * 1000;
		at_ns = next_ns < at_ns ? next_ns : at_ns;
	}
	timer_arm(&resolve->loop->wheel, &resolve->timer, at_ns);
}

static void fire(struct timer *timer)
{
	struct resolve *resolve = container_of(timer, struct resolve, timer);

	if (resolve->answered) {
		finish(resolve);
		return;
	}
	if (resolve->loop->now_ns >= resolve->until_ns)
		ares_cancel(resolve->channel);
	else
		ares_process_fd(resolve->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	go_on(resolve);
}

static void handle_socket(struct source *source, uint32_t events)
{
	struct resolve_socket *own = container_of(source, struct resolve_socket, source);
	struct resolve *resolve = own->resolve;
	int fd = source->fd;

	if (!resolve->channel)
		return;
	ares_process_fd(resolve->channel, events & ~(uint32_t)EPOLLOUT ? fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	/* It reads what it needs, not all there is, and wants to hear of the rest. */
	if (source->fd == fd)
		loop_rewatch(resolve->loop, source, own->events);
	go_on(resolve);
}

static uint32_t events_of(int readable, int writable)
{
	return (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
}

/* c-ares tells what it waits for, and, by waiting for nothing, that it is about to close. One for
 * which there is no room is not watched: its question goes to another resolver, or is late. */
static void watch(void *context, ares_socket_t fd, int readable, int writable)
{
	struct resolve *resolve = context;
	struct resolve_socket *own = NULL;

	for (int i = 0; i < RESOLVE_SOCKETS_MAX; i++) {
		struct resolve_socket *one = &resolve->sockets[i];

		if (one->source.fd == fd) {
			own = one;
			break;
		}
		if (!own && one->source.fd < 0)
			own = one;
	}
	if (!own)
		return;
	if (!readable && !writable) {
		if (own->source.fd == fd)
			loop_unwatch(resolve->loop, &own->source);
		own->source.fd = -1;
		return;
	}
	own->events = events_of(readable, writable);
	if (own->source.fd == fd) {
		loop_rewatch(resolve->loop, &own->source, own->events);
	} else {
		own->source.fd = fd;
		if (loop_watch(resolve->loop, &own->source, own->events) < 0)
			own->source.fd = -1;
	}
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* No host is there, and to connect to :: or 0.0.0.0 would be to connect to oneself. */
static bool is_nowhere(const struct fw_addr *address)
{
	const uint8_t *byte = (const uint8_t *)address;

	if (fw_addr_is_v4(address))
		return byte[12] == 0 || byte[12] >= 224;
	return byte[0] == 0xff ||
	       (!address->word[0] && !address->word[1] && !address->word[2] && !address->word[3]);
}

static void add_address(struct resolve_answer *answer, const struct sockaddr *sockaddr)
{
	uint16_t port;
	struct fw_addr address = address_from_sockaddr(sockaddr, &port);

	if (is_nowhere(&address))
		return;
	for (uint32_t i = 0; i < answer->count; i++)
		if (!memcmp(&answer->address[i], &address, sizeof(address)))
			return;
	if (answer->count == RESOLVE_ADDRESSES_MAX)
		answer->left_out++;
	else
		answer->address[answer->count++] = address;
}

static void take_ttl(struct resolve_answer *answer, int seconds)
{
	uint64_t ms = seconds > 0 ? (uint64_t)seconds * 1000 : 0;

	if (ms < answer->ttl_ms)
		answer->ttl_ms = ms;
}

static void take_answer(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
	struct resolve *resolve = context;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	resolve->answered = true;
	resolve->why = status == ARES_SUCCESS      ? NULL
		       : status == ARES_ECANCELLED ? "no resolver answered in time"
						   : ares_strerror(status);
	if (!result)
		return;
	for (const struct ares_addrinfo_cname *cname = result->cnames; cname; cname = cname->next)
		take_ttl(&resolve->answer, cname->ttl);
	for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next) {
		take_ttl(&resolve->answer, node->ai_ttl);
		add_address(&resolve->answer, node->ai_addr);
	}
	if (!resolve->why && !resolve->answer.count)
		resolve->why = "the name has no address of use";
	ares_freeaddrinfo(result);
}

/* --- questions ---------------------------------------------------------------------------------
 */

void resolve_init(struct resolve *resolve, struct loop *loop, const struct config_resolver *config)
{
	resolve->loop = loop;
	resolve->config = config;
	resolve->timer.fire = fire;
	for (int i = 0; i < RESOLVE_SOCKETS_MAX; i++) {
		struct resolve_socket *own = &resolve->sockets[i];

		own->resolve = resolve;
		own->source.fd = -1;
		own->source.handle = handle_socket;
		list_init(&own->source.node);
	}
}

/* Those that the configuration names, as c-ares reads them: "192.0.2.1:53,[2001:db8::1]:53". */
static int name_servers(ares_channel channel, const struct config_resolver *config)
{
	char text[SERVERS_TEXT], address[ADDRESS_TEXT_SIZE];
	int used = 0;

	for (size_t i = 0; i < config->server_count; i++) {
		const struct config_server *server = &config->servers[i];

		used += snprintf(text + used, sizeof(text) - (size_t)used,
				 fw_addr_is_v4(&server->addr) ? "%s%s:%u" : "%s[%s]:%u",
				 i ? "," : "", address_format(&server->addr, address),
				 server->port);
	}
	return used ? ares_set_servers_ports_csv(channel, text) : ARES_SUCCESS;
}

static int open_channel(struct resolve *resolve, ares_channel *channel)
{
	struct ares_options options = {
		.timeout = (int)resolve->config->timeout_ms,
		.tries = TRIES,
		.sock_state_cb = watch,
		.sock_state_cb_data = resolve,
	};
	int status = ares_init_options(
		channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return status;
	status = name_servers(*channel, resolve->config);
	if (status != ARES_SUCCESS)
		ares_destroy(*channel);
	return status;
}

void resolve_ask(struct resolve *resolve, const char *host)
{
	static const int families[] = {
		[FAMILY_ANY] = AF_UNSPEC, [FAMILY_IPV4] = AF_INET, [FAMILY_IPV6] = AF_INET6};
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = families[resolve->config->family],
		.ai_socktype = SOCK_STREAM,
	};
	ares_channel channel;
	int status = open_channel(resolve, &channel);

	resolve->answered = false;
	resolve->why = NULL;
	resolve->answer = (struct resolve_answer){.ttl_ms = UINT64_MAX};
	resolve->until_ns =
		resolve->loop->now_ns + PATIENCE * resolve->config->timeout_ms * CLOCK_MS;
	if (status != ARES_SUCCESS) {
		resolve->answered = true;
		resolve->why = ares_strerror(status);
	} else {
		resolve->channel = channel;
		ares_getaddrinfo(channel, host, NULL, &hints, take_answer, resolve);
	}
	/* What is known at once is told in a moment: a caller is not called back while it calls. */
	if (resolve->answered)
		timer_arm(&resolve->loop->wheel, &resolve->timer, resolve->loop->now_ns);
	else
		go_on(resolve);
}
