/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access log: a JSON object a line, for every request, relayed connection and refusal.
 *
 * Each thread gathers lines and writes them together, once a second or when 64 KiB are full. It
 * never waits for whoever reads them: what a full pipe does not take stays for the next attempt,
 * and when there is no room any more lines are dropped and counted. Lines stay whole: none is
 * longer than what a pipe takes at once.
 */
#ifndef PROXY_GUARD_ACCESS_LOG_H
#define PROXY_GUARD_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ACCESS_LOG_BUFFER = 65536,
	ACCESS_LOG_LINE = 4096,  /* PIPE_BUF: written in one piece or not at all */
	ACCESS_LOG_TARGET = 1024 /* bytes of a request target that are told */
};

struct access_log {
	int fd;        /* −1: none, and every function does nothing */
	bool in_lines; /* a pipe or socket: pieces of at most ACCESS_LOG_LINE */
	size_t used;
	uint64_t second; /* whose date is in `date` */
	uint64_t to_realtime_ns;
	char date[24]; /* "2026-03-01T12:00:00" */
	char *data;
};

/* One line. What is empty, or 0 where 0 can't be, is left out. */
struct access_line {
	const char *listener;
	const char *source; /* address */
	uint16_t port;
	const char *method, *target; /* not terminated; target may be cut */
	size_t method_length, target_length;
	const char *request_id; /* not terminated */
	size_t request_id_length;
	const char *protocol; /* "HTTP/1.1"; NULL: none that is known */
	int status;           /* 0: none was sent */
	uint64_t in, out;     /* bytes from and to the client */
	uint64_t duration_ns;
	const char *tls, *cipher, *name; /* version, suite, name asked for; NULL: none */
	const char *upstream;            /* server's address as configured; NULL: none was used */
	const char *reason;              /* label of verdicts.def */
	uint32_t suppressed; /* > 0: the line stands for so many refusals for `reason` */
};

/* 0 or −errno. Makes a pipe non-blocking. */
int access_log_init(struct access_log *log, int fd);
/* Writes what is left, if it is taken at once. */
void access_log_destroy(struct access_log *log);

/* False: dropped, for want of room. */
bool access_log_add(struct access_log *log, const struct access_line *line, uint64_t now_ns);
/* Writes what has gathered. To be called about once a second. */
void access_log_flush(struct access_log *log);

/*
 * Writes @text as the inside of a JSON string (RFC 8259 section 7): quotes, backslashes, controls
 * and bytes above 0x7e are escaped. Stops before an escape that does not fit. Bytes written, at
 * most @room.
 */
size_t json_escape(char *out, size_t room, const char *text, size_t length);

#endif
