// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/upstream/care/health_check.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "proxy/http/http.h"
#include "proxy/net/proxy_header.h"
#include "proxy/net/socket.h"
#include "proxy/net/tls/tls_client.h"

enum {
	DIALOGUE_SIZE = 16384, /* head and content of a response that are looked at */
	WHY_SIZE = 160,
	INTERIM_MAX = 8, /* responses with status 1xx before the final one */
};

#define FIRST_WITHIN_NS (200 * CLOCK_MS) /* and within the interval */

/* What is said and heard in a check. */
struct health_dialogue {
	uint32_t to_write, written;
	uint32_t plain;   /* bytes to write ahead of TLS, where there is any */
	uint32_t used;    /* of data, once all is written */
	uint32_t content; /* where the response's begins; 0: its head is not whole */
	uint32_t interim;
	struct http_response response;
	struct http_chunks chunks;
	char data[DIALOGUE_SIZE];
};

/* --- in a row ----------------------------------------------------------------------------------
 */

enum health_change health_streak_note(struct health_streak *streak, bool good, bool healthy,
				      const struct config_health *config)
{
	bool first = !streak->decided;

	streak->decided = true;
	streak->good = good ? streak->good + 1 : 0;
	streak->bad = good ? 0 : streak->bad + 1;
	if (good && !healthy && (first || streak->good >= config->rise))
		return HEALTH_RISES;
	if (!good && healthy && (first || streak->bad >= config->fall))
		return HEALTH_FALLS;
	return HEALTH_STAYS;
}

/* --- the end of a check ------------------------------------------------------------------------
 */

/* Something from 0 to @span. */
static uint64_t chance(uint64_t span)
{
	uint32_t number = 0;

	return getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number)
		       ? span * number / UINT32_MAX
		       : span / 2;
}

static void end(struct health_check *check)
{
	uint64_t interval_ns = check->config->health.interval_ms * CLOCK_MS;

	if (check->running)
		stream_reset(&check->stream); /* leaves no state with anybody */
	check->running = false;
	free(check->dialogue);
	check->dialogue = NULL;
	/* A tenth sooner or later, so that those of many hosts spread. */
	timer_arm(&check->loop->wheel, &check->timer,
		  check->loop->now_ns + interval_ns - interval_ns / 10 + chance(interval_ns / 5));
}

static void conclude(struct health_check *check, bool good, const char *why)
{
	struct server *server = check->server;
	bool healthy = !atomic_load_explicit(&server->unhealthy, memory_order_relaxed);
	enum health_change change;

	/* It says nothing of where the server is now. */
	if (check->version == server_version(server)) {
		if (!good)
			atomic_fetch_add(&server->checks_failed, 1);
		change = health_streak_note(&check->streak, good, healthy, &check->config->health);
		if (change != HEALTH_STAYS)
			health_checked(server, change == HEALTH_RISES, why, check->loop->now_ns);
	}
	end(check);
}

static void fail(struct health_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fail(struct health_check *check, const char *format, ...)
{
	char why[WHY_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	conclude(check, false, why);
}

/* --- what is asked -----------------------------------------------------------------------------
 */

static uint32_t introduce(const struct health_check *check, char *out)
{
	const struct proxy_header local = {.local = true};

	switch (check->config->proxy_protocol) {
	case INTRODUCTION_V1:
		return (uint32_t)proxy_header_write_v1((uint8_t *)out, &local);
	case INTRODUCTION_V2:
		return (uint32_t)proxy_header_write_v2((uint8_t *)out, &local, NULL);
	default:
		return 0;
	}
}

static void compose(const struct health_check *check, struct health_dialogue *dialogue)
{
	const struct config_health *config = &check->config->health;
	uint32_t used = introduce(check, dialogue->data);
	int length = 0;

	if (config->check == CHECK_HTTP)
		length = snprintf(dialogue->data + used, sizeof(dialogue->data) - used,
				  "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Floodwall-health\r\n"
				  "Connection: close\r\n\r\n",
				  config->path,
				  config->host ? config->host : check->server->config->address);
	dialogue->plain = used;
	dialogue->to_write = used + (uint32_t)length;
	http_response_init(&dialogue->response);
}

/* --- what is answered --------------------------------------------------------------------------
 */

static bool contains(const struct health_dialogue *dialogue, const char *text)
{
	return memmem(dialogue->data + dialogue->content, dialogue->used - dialogue->content, text,
		      strlen(text)) != NULL;
}

/* Whether no more content follows. */
static bool is_whole(const struct health_dialogue *dialogue)
{
	const struct http_head *head = &dialogue->response.head;

	switch (head->framing) {
	case HTTP_NO_BODY:
		return true;
	case HTTP_LENGTH:
		return dialogue->used - dialogue->content >= head->content_length;
	case HTTP_CHUNKED:
		return dialogue->chunks.done;
	default:
		return false;
	}
}

/* @at, the newest bytes, are content, or chunks of it, of which only the content is kept. */
static bool take_content(struct health_dialogue *dialogue, uint32_t at)
{
	size_t content;

	if (dialogue->response.head.framing != HTTP_CHUNKED)
		return true;
	if (http_chunks_unwrap(&dialogue->chunks, dialogue->data + at, dialogue->used - at,
			       &content) < 0)
		return false;
	dialogue->used = at + (uint32_t)content;
	return true;
}

/* Reads the head, over those of interim responses. False: it is concluded, or goes on. */
static bool take_head(struct health_check *check)
{
	struct health_dialogue *dialogue = check->dialogue;
	struct http_response *response = &dialogue->response;
	int size;

	while ((size = http_response_parse(response, dialogue->data, dialogue->used, false)) > 0 &&
	       response->status < 200 && ++dialogue->interim <= INTERIM_MAX) {
		dialogue->used -= (uint32_t)size;
		memmove(dialogue->data, dialogue->data + size, dialogue->used);
		http_response_init(response);
	}
	if (size < 0) {
		fail(check, "its response is not valid HTTP");
		return false;
	}
	if (size == 0)
		return false;
	if (!config_statuses_have(&check->config->health.statuses, response->status)) {
		fail(check, "it answers with status %u", response->status);
		return false;
	}
	dialogue->content = (uint32_t)size;
	http_chunks_init(&dialogue->chunks, (struct http_chunk_limits){0});
	if (take_content(dialogue, dialogue->content))
		return true;
	fail(check, "its response is not valid HTTP");
	return false;
}

/* True: there is no more to be known. */
static bool judge(struct health_check *check, uint32_t before)
{
	const char *body = check->config->health.body;
	struct health_dialogue *dialogue = check->dialogue;
	bool had_head = dialogue->content != 0;
	char why[WHY_SIZE];

	if (!had_head && !take_head(check))
		return !check->running;
	if (had_head && !take_content(dialogue, before)) {
		fail(check, "its response is not valid HTTP");
		return true;
	}
	if (!body || contains(dialogue, body)) {
		snprintf(why, sizeof(why), "it answers with status %u", dialogue->response.status);
		conclude(check, true, why);
		return true;
	}
	if (!is_whole(dialogue))
		return false;
	fail(check, "its response does not contain \"%s\"", body);
	return true;
}

static void hear(struct health_check *check)
{
	struct health_dialogue *dialogue = check->dialogue;

	for (;;) {
		uint32_t before = dialogue->used;
		ssize_t count = stream_read(&check->stream, dialogue->data + before,
					    sizeof(dialogue->data) - before);

		if (count == -EAGAIN)
			return;
		if (count < 0) {
			fail(check, "it broke the connection off: %s", strerror((int)-count));
			return;
		}
		if (count == 0) {
			fail(check, dialogue->content ? "its response ends without the text"
						      : "it closes without a response");
			return;
		}
		dialogue->used += (uint32_t)count;
		if (judge(check, before))
			return;
		if (dialogue->used == sizeof(dialogue->data)) {
			fail(check, "the first %d bytes of its response do not suffice",
			     DIALOGUE_SIZE);
			return;
		}
	}
}

/* --- its way -----------------------------------------------------------------------------------
 */

/* Writes on, up to there. False: not all is written yet, or it is concluded. */
static bool write_to(struct health_check *check, uint32_t end_of_it)
{
	struct health_dialogue *dialogue = check->dialogue;
	struct iovec part;
	ssize_t count;

	while (dialogue->written < end_of_it) {
		part = (struct iovec){dialogue->data + dialogue->written,
				      end_of_it - dialogue->written};
		count = stream_write(&check->stream, &part, 1);
		if (count == -EAGAIN)
			return false;
		if (count < 0) {
			fail(check, "it broke the connection off: %s", strerror((int)-count));
			return false;
		}
		dialogue->written += (uint32_t)count;
	}
	return true;
}

/* Whether what is written and read now is content: TLS, if requests have it, is in place. */
static bool secure(struct health_check *check)
{
	struct tls_peer *peer = check->server->tls;
	struct tls_facts unread;
	int result = -FW_MEMORY;

	if (!peer || tls_facts(&check->stream, &unread))
		return true;
	if (!check->stream.tls && !write_to(check, check->dialogue->plain))
		return false;
	if (check->stream.tls || tls_client_begin(&check->stream, check->tls, NULL, peer) == 0)
		result = tls_shake(&check->stream);
	if (result == -FW_MEMORY) /* which says nothing of the server */
		end(check);
	else if (result < 0)
		fail(check, "%s", verdict_rows[-result].text);
	return result > 0;
}

static bool speak(struct health_check *check)
{
	if (!write_to(check, check->dialogue->to_write))
		return false;
	if (check->config->health.check == CHECK_HTTP)
		return true;
	conclude(check, true, "it accepts connections");
	return false;
}

static void handle(struct source *source, uint32_t events)
{
	struct health_check *check = container_of(source, struct health_check, stream.source);
	int code;

	stream_note(&check->stream, events);
	if (!check->dialogue->written) {
		code = stream_is(&check->stream, STREAM_BROKEN) ? stream_error(&check->stream) : 0;
		if (code < 0) {
			fail(check, "it can't be connected to: %s", strerror(-code));
			return;
		}
	}
	if (secure(check) && speak(check))
		hear(check);
}

/* What says nothing of the server: this host is out of something. */
static bool is_our_lack(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOBUFS || code == -ENOMEM ||
	       code == -EADDRNOTAVAIL;
}

static void begin(struct health_check *check)
{
	struct fw_addr address;
	uint16_t port;
	int fd;

	check->dialogue = malloc(sizeof(*check->dialogue));
	if (!server_address(check->server, &address, &port) || !check->dialogue) {
		end(check);
		return;
	}
	check->dialogue->written = check->dialogue->used = 0;
	check->dialogue->content = check->dialogue->interim = 0;
	compose(check, check->dialogue);
	if (check->config->health.port)
		port = check->config->health.port;
	fd = socket_connect(&address, port);
	if (is_our_lack(fd)) {
		end(check);
		return;
	}
	if (fd < 0) {
		fail(check, "it can't be connected to: %s", strerror(-fd));
		return;
	}
	check->stream.source.handle = handle;
	if (stream_open(&check->stream, check->loop, fd, true) < 0) {
		close(fd);
		end(check);
		return;
	}
	check->running = true;
	timer_arm(&check->loop->wheel, &check->timer,
		  check->loop->now_ns + check->config->health.timeout_ms * CLOCK_MS);
}

static void fire(struct timer *timer)
{
	struct health_check *check = container_of(timer, struct health_check, timer);
	unsigned int version = server_version(check->server);

	if (check->running) {
		fail(check, "no answer within %llu ms",
		     (unsigned long long)check->config->health.timeout_ms);
		return;
	}
	if (check->version != version)
		check->streak = (struct health_streak){0};
	check->version = version;
	begin(check);
}

void health_check_start(struct health_check *check, struct loop *loop, struct tls_engine *tls,
			struct server *server, const struct config_upstream *config)
{
	uint64_t interval_ns = config->health.interval_ms * CLOCK_MS;

	check->loop = loop;
	check->tls = tls;
	check->server = server;
	check->config = config;
	check->timer.fire = fire;
	timer_arm(&loop->wheel, &check->timer,
		  loop->now_ns +
			  chance(interval_ns < FIRST_WITHIN_NS ? interval_ns : FIRST_WITHIN_NS));
}

void health_check_hasten(struct health_check *check)
{
	if (check->loop && !check->running)
		timer_arm(&check->loop->wheel, &check->timer, check->loop->now_ns);
}

void health_check_stop(struct health_check *check)
{
	if (!check->loop)
		return;
	if (check->running)
		stream_reset(&check->stream);
	check->running = false;
	timer_cancel(&check->loop->wheel, &check->timer);
	free(check->dialogue);
	check->dialogue = NULL;
}
