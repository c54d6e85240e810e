/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client: honest people, and what they live to see.
 *
 * Attempts arrive at a fixed rate whatever became of those before, and each one's latency counts
 * from the moment it was due: a server that stalls can't hide it by slowing its clients down.
 * An attempt is one GET, on a connection of its own (or with --keep-alive, on one that is idle),
 * and is "ok" only with status 200 and the very body expected, within --timeout. Percentiles are of
 * all attempts: the slowest are those that failed, and have no figure. "steady_p99_ms" is the
 * median of those of each half second: what lasts is in all of them, and a moment in which the
 * machine did nothing at all for anybody is in one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/address.h"
#include "common/options.h"
#include "common/run.h"
#include "common/wire.h"

#define EVENTS_MAX    256
#define RESPONSE_SIZE 4096 /* of header and body: more is no answer to our question */
#define SECONDS_MAX   3600
#define WAIT_MAX      1000000 /* ns */
#define WINDOW        (SECOND / 2)
#define FAILED        UINT64_MAX /* instead of a latency */

enum outcome {
	OK,
	REFUSED,    /* RST to the SYN */
	UNANSWERED, /* no connection by the deadline */
	HANDSHAKE,  /* no TLS handshake by the deadline, or it failed */
	RESET,      /* RST later */
	CUT,        /* closed before the response was complete */
	SILENT,     /* connected, no complete response by the deadline */
	STATUS,     /* another status than 200 */
	BODY,       /* another body than expected */
	LOCAL,      /* our own machine's fault: no port, no descriptor */
	OUTCOMES,
};

static const char *const outcome_names[OUTCOMES] = {
	[OK] = "ok",
	[REFUSED] = "refused",
	[UNANSWERED] = "connect_timeout",
	[HANDSHAKE] = "handshake",
	[RESET] = "reset",
	[CUT] = "closed_early",
	[SILENT] = "response_timeout",
	[BODY] = "body",
	[STATUS] = "status",
	[LOCAL] = "local",
};

enum state { CONNECTING, SHAKING, WAITING, IDLE };

/* A connection, and the attempt that it carries unless it is idle. */
struct exchange {
	enum state state;
	struct wire wire;
	uint64_t number;                /* of the attempt */
	uint64_t due;                   /* when it should have begun */
	struct exchange *older, *newer; /* in the order of due: the order of deadlines */
	struct exchange *next_idle;
	size_t length;
	char response[RESPONSE_SIZE];
};

struct client {
	struct endpoint destination;
	struct prefix prefix;
	uint64_t sources, rate;
	double seconds, timeout;
	const char *body_file, *path;
	bool keep_alive, tls, json;

	struct wire_tls *wire_tls;
	int epoll;
	char request[1024];
	size_t request_length;
	char *body;
	size_t body_length;
	struct exchange *oldest, *newest, *idle;
	uint64_t attempts, by_outcome[OUTCOMES];
	uint64_t *latencies; /* of each attempt, by its number */
};

static void list_remove(struct client *client, struct exchange *exchange)
{
	*(exchange->older ? &exchange->older->newer : &client->oldest) = exchange->newer;
	*(exchange->newer ? &exchange->newer->older : &client->newest) = exchange->older;
}

static void list_append(struct client *client, struct exchange *exchange)
{
	exchange->newer = NULL;
	exchange->older = client->newest;
	*(client->newest ? &client->newest->newer : &client->oldest) = exchange;
	client->newest = exchange;
}

static void idle_remove(struct client *client, struct exchange *exchange)
{
	struct exchange **link = &client->idle;

	while (*link != exchange)
		link = &(*link)->next_idle;
	*link = exchange->next_idle;
}

static void exchange_free(struct exchange *exchange)
{
	wire_close(&exchange->wire);
	free(exchange);
}

/* The attempt is over. With @reusable its connection may carry another. */
static void attempt_end(struct client *client, struct exchange *exchange, enum outcome outcome,
			bool reusable)
{
	if (outcome == OK)
		client->latencies[exchange->number] = run_clock() - exchange->due;
	client->by_outcome[outcome]++;
	list_remove(client, exchange);
	if (outcome == OK && reusable && client->keep_alive) {
		exchange->state = IDLE;
		exchange->next_idle = client->idle;
		client->idle = exchange;
	} else {
		exchange_free(exchange);
	}
}

/*
 * What @response, of which @length bytes have come, amounts to: −1 as long as that is open. @ended:
 * nothing will follow. *@reusable: the server keeps the connection.
 */
static int response_judge(const struct client *client, const char *response, size_t length,
			  bool ended, bool *reusable)
{
	const char *body = memmem(response, length, "\r\n\r\n", 4);
	size_t body_length, declared = SIZE_MAX;

	*reusable = true;
	if (!body)
		return ended ? CUT : -1;
	if (strncmp(response, "HTTP/1.1 200 ", 13))
		return STATUS;
	for (const char *line = strstr(response, "\r\n"); line && line < body;
	     line = strstr(line + 2, "\r\n")) {
		if (!strncasecmp(line + 2, "content-length:", 15))
			declared = strtoul(line + 17, NULL, 10);
		if (!strncasecmp(line + 2, "connection: close", 17))
			*reusable = false;
	}
	body += 4;
	body_length = (size_t)(response + length - body);
	if (body_length < declared && !ended)
		return -1;
	if (body_length < declared && declared != SIZE_MAX)
		return CUT;
	if (body_length != client->body_length || memcmp(body, client->body, body_length))
		return BODY;
	return OK;
}

static void exchange_send(struct client *client, struct exchange *exchange)
{
	/* A request is far smaller than a fresh socket's buffer: it goes as a whole or not at all.
	 */
	if (wire_send(&exchange->wire, client->request, client->request_length) !=
	    (ssize_t)client->request_length) {
		attempt_end(client, exchange, RESET, false);
		return;
	}
	exchange->state = WAITING;
	exchange->length = 0;
}

static void exchange_receive(struct client *client, struct exchange *exchange)
{
	char *free_space = exchange->response + exchange->length;
	ssize_t received =
		wire_receive(&exchange->wire, free_space, RESPONSE_SIZE - 1 - exchange->length);
	bool reusable;
	int outcome;

	if (received == -EAGAIN)
		return;
	if (received < 0) {
		attempt_end(client, exchange, RESET, false);
		return;
	}
	exchange->length += (size_t)received;
	exchange->response[exchange->length] = '\0';
	outcome = response_judge(client, exchange->response, exchange->length, received == 0,
				 &reusable);
	if (outcome < 0 && exchange->length == RESPONSE_SIZE - 1)
		outcome = BODY;
	if (outcome >= 0)
		attempt_end(client, exchange, (enum outcome)outcome, reusable && received > 0);
}

static void exchange_await(const struct client *client, struct exchange *exchange, uint32_t events)
{
	epoll_ctl(client->epoll, EPOLL_CTL_MOD, exchange->wire.fd,
		  &(struct epoll_event){.events = events, .data.ptr = exchange});
}

static void exchange_shake(struct client *client, struct exchange *exchange)
{
	uint32_t events = EPOLLIN;
	int done = exchange->wire.tls ? wire_shake(&exchange->wire, &events) : 1;

	if (done < 0) {
		attempt_end(client, exchange, HANDSHAKE, false);
		return;
	}
	exchange_await(client, exchange, done ? EPOLLIN : events);
	exchange->state = SHAKING;
	if (done)
		exchange_send(client, exchange);
}

static void exchange_advance(struct client *client, struct exchange *exchange)
{
	socklen_t length = sizeof(int);
	int error = 0;

	switch (exchange->state) {
	case CONNECTING:
		getsockopt(exchange->wire.fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			attempt_end(client, exchange, error == ECONNREFUSED ? REFUSED : RESET,
				    false);
			return;
		}
		exchange_shake(client, exchange);
		break;
	case SHAKING:
		exchange_shake(client, exchange);
		break;
	case WAITING:
		exchange_receive(client, exchange);
		break;
	case IDLE: /* the server has had enough of us */
		idle_remove(client, exchange);
		exchange_free(exchange);
		break;
	}
}

static void attempt_begin(struct client *client, uint64_t due)
{
	struct exchange *exchange = client->idle;
	uint64_t number = client->attempts++;
	uint8_t source[16];
	int fd;

	client->latencies[number] = FAILED;
	if (exchange) {
		client->idle = exchange->next_idle;
		exchange->number = number;
		exchange->due = due;
		list_append(client, exchange);
		exchange_send(client, exchange);
		return;
	}
	prefix_host(&client->prefix, number % client->sources, source);
	fd = connect_from(source, &client->destination, 0);
	exchange = fd < 0 ? NULL : malloc(sizeof(*exchange));
	if (!exchange || !wire_open(&exchange->wire, fd, client->wire_tls,
				    client->tls ? WIRE_TLS : WIRE_PLAIN)) {
		client->by_outcome[LOCAL]++;
		if (fd >= 0)
			close(fd);
		free(exchange);
		return;
	}
	exchange->state = CONNECTING;
	exchange->number = number;
	exchange->due = due;
	list_append(client, exchange);
	epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd,
		  &(struct epoll_event){.events = EPOLLOUT, .data.ptr = exchange});
}

static void attempts_expire(struct client *client, uint64_t now)
{
	static const enum outcome expiry[] = {
		[CONNECTING] = UNANSWERED, [SHAKING] = HANDSHAKE, [WAITING] = SILENT};
	uint64_t timeout = (uint64_t)(client->timeout * 1e9);

	while (client->oldest && (run_stopped || client->oldest->due + timeout <= now))
		attempt_end(client, client->oldest, expiry[client->oldest->state], false);
}

/* Waits for events until @due, but no longer than a look at deadlines can wait. */
static int wait_events(const struct client *client, struct epoll_event *events, uint64_t due)
{
	uint64_t now = run_clock(), wait = due > now ? due - now : 0;
	struct timespec until = {.tv_nsec = (long)(wait < WAIT_MAX ? wait : WAIT_MAX)};

	return epoll_pwait2(client->epoll, events, EVENTS_MAX, &until, NULL);
}

static void client_run(struct client *client)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t total = (uint64_t)(client->seconds * (double)client->rate), begun = 0;
	uint64_t start = run_clock(), now, due = start;
	int count;

	prctl(PR_SET_TIMERSLACK, 1); /* who comes late measures himself */

	while (!run_stopped && (begun < total || client->oldest)) {
		now = run_clock();
		while (begun < total && (due = start + begun * SECOND / client->rate) <= now) {
			attempt_begin(client, due);
			begun++;
		}
		attempts_expire(client, now);
		count = wait_events(client, events, begun < total ? due : UINT64_MAX);
		for (int i = 0; i < count; i++)
			exchange_advance(client, events[i].data.ptr);
	}
	if (run_stopped)
		attempts_expire(client, 0);
	while (client->idle) {
		struct exchange *exchange = client->idle;

		client->idle = exchange->next_idle;
		exchange_free(exchange);
	}
}

static int compare_latencies(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Nearest-rank percentile of @count latencies, in order; FAILED where that is one that failed. */
static uint64_t percentile(const uint64_t *latencies, uint64_t count, double share)
{
	uint64_t rank = (uint64_t)(share * (double)count + 0.9999999);

	return rank ? latencies[rank - 1] : FAILED;
}

static json_t *in_ms(uint64_t latency)
{
	return latency == FAILED ? json_null() : json_real((double)latency / 1e6);
}

/* The median of the windows' 99th percentiles; what is left at the end is no window. Puts latencies
 * in order within their windows. */
static uint64_t steady_p99(const struct client *client)
{
	uint64_t each = client->rate * WINDOW / SECOND, count = each ? client->attempts / each : 0;
	uint64_t *p99 = calloc(count + 1, sizeof(*p99)), median = FAILED;

	if (!p99)
		options_refuse("no memory");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t *window = client->latencies + i * each;

		qsort(window, each, sizeof(*window), compare_latencies);
		p99[i] = percentile(window, each, 0.99);
	}
	if (count) {
		qsort(p99, count, sizeof(*p99), compare_latencies);
		median = p99[count / 2]; /* of an even number the higher one in the middle */
	}
	free(p99);
	return median;
}

static json_t *client_result(struct client *client)
{
	uint64_t *latencies = client->latencies, count = client->attempts;
	uint64_t steady = steady_p99(client);
	json_t *errors = json_object();

	qsort(latencies, count, sizeof(*latencies), compare_latencies);
	for (int i = OK + 1; i < OUTCOMES; i++)
		json_object_set_new(errors, outcome_names[i],
				    json_integer((json_int_t)client->by_outcome[i]));
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "attempts", (json_int_t)count, "ok",
			 (json_int_t)client->by_outcome[OK], "errors", errors, "p50_ms",
			 in_ms(percentile(latencies, count, 0.5)), "p99_ms",
			 in_ms(percentile(latencies, count, 0.99)), "steady_p99_ms", in_ms(steady),
			 "max_ms", in_ms(percentile(latencies, count, 1)));
}

static void read_body(struct client *client)
{
	FILE *file = client->body_file ? fopen(client->body_file, "r") : NULL;

	client->body = malloc(RESPONSE_SIZE);
	if (!file || !client->body)
		options_refuse("--body-file: %s",
			       client->body_file ? strerror(errno) : "is needed");
	client->body_length = fread(client->body, 1, RESPONSE_SIZE, file);
	fclose(file);
}

int main(int argc, char **argv)
{
	struct client client = {
		.rate = 100, .seconds = 10, .timeout = 3, .sources = 1, .path = "/"};
	const struct option_row rows[] = {
		{"destination", OPTION_ENDPOINT, &client.destination, "the server"},
		{"source-prefix", OPTION_PREFIX, &client.prefix, "where clients come from"},
		{"sources", OPTION_COUNT, &client.sources,
		 "how many addresses of it, in turn; 1 unless said"},
		{"rate", OPTION_COUNT, &client.rate, "attempts a second; 100 unless said"},
		{"seconds", OPTION_SECONDS, &client.seconds, "how long; 10 unless said"},
		{"timeout", OPTION_SECONDS, &client.timeout,
		 "patience with one attempt; 3 unless said"},
		{"path", OPTION_TEXT, &client.path, "to GET; / unless said"},
		{"body-file", OPTION_TEXT, &client.body_file, "holds the body that is expected"},
		{"tls", OPTION_SWITCH, &client.tls, "over TLS"},
		{"keep-alive", OPTION_SWITCH, &client.keep_alive, "use connections again"},
		{"json", OPTION_SWITCH, &client.json, "print the result as JSON"},
	};

	options_read(argc, argv, "makes requests as people would, and says how they fared", rows,
		     sizeof(rows) / sizeof(rows[0]));
	if (!client.destination.family || client.prefix.family != client.destination.family)
		options_refuse("--destination and --source-prefix are needed, of one family");
	if (!client.rate || !client.sources || client.sources > prefix_hosts(&client.prefix))
		options_refuse(
			"--rate and --sources: at least 1, and not more than the prefix has");
	if (client.seconds > SECONDS_MAX)
		options_refuse("--seconds: at most %d", SECONDS_MAX);
	read_body(&client);
	client.request_length =
		(size_t)snprintf(client.request, sizeof(client.request),
				 "GET %s HTTP/1.1\r\nHost: lab.example\r\nConnection: %s\r\n\r\n",
				 client.path, client.keep_alive ? "keep-alive" : "close");
	client.epoll = epoll_create1(EPOLL_CLOEXEC);
	client.wire_tls = wire_tls_new("http/1.1");
	client.latencies =
		calloc((size_t)(client.seconds * (double)client.rate) + 1, sizeof(uint64_t));
	if (client.request_length >= sizeof(client.request) || client.epoll < 0 ||
	    !client.latencies || !client.wire_tls)
		options_refuse("--path is too long, or there is no memory");

	run_begin(client.seconds + client.timeout);
	client_run(&client);
	close(client.epoll);
	int status = run_report(client_result(&client), client.json);
	wire_tls_free(client.wire_tls);
	free(client.latencies);
	free(client.body);
	return status;
}
