// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/access_log.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

int access_log_init(struct access_log *log, int fd)
{
	struct stat about;

	*log = (struct access_log){.fd = fd};
	if (fd < 0)
		return 0;
	if (fstat(fd, &about) < 0)
		return -errno;
	log->in_lines = S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode);
	if (log->in_lines && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	log->data = malloc(ACCESS_LOG_BUFFER);
	return log->data ? 0 : -ENOMEM;
}

void access_log_destroy(struct access_log *log)
{
	access_log_flush(log);
	free(log->data);
	*log = (struct access_log){.fd = -1};
}

/* The most whole lines that a pipe takes at once. */
static size_t whole_lines(const char *data, size_t length)
{
	const char *end;

	if (length <= ACCESS_LOG_LINE)
		return length;
	end = memrchr(data, '\n', ACCESS_LOG_LINE);
	return end ? (size_t)(end - data) + 1 : length;
}

void access_log_flush(struct access_log *log)
{
	size_t done = 0;

	if (!log->used)
		return;
	while (done < log->used) {
		size_t rest = log->used - done;
		ssize_t count = write(log->fd, log->data + done,
				      log->in_lines ? whole_lines(log->data + done, rest) : rest);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	log->used -= done;
	memmove(log->data, log->data + done, log->used);
}

size_t json_escape(char *out, size_t room, const char *text, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '"' || byte == '\\') {
			if (room - used < 2)
				break;
			out[used++] = '\\';
			out[used++] = (char)byte;
		} else if (byte < 0x20 || byte > 0x7e) {
			if (room - used < 6)
				break;
			memcpy(out + used, "\\u00", 4);
			out[used + 4] = digits[byte >> 4];
			out[used + 5] = digits[byte & 15];
			used += 6;
		} else {
			if (room - used < 1)
				break;
			out[used++] = (char)byte;
		}
	}
	return used;
}

/* Keeps the date of the current second: formatting it costs more than the rest of a line. */
static unsigned int milliseconds(struct access_log *log, uint64_t now_ns)
{
	uint64_t real_ns = now_ns + log->to_realtime_ns;
	time_t second;
	struct tm parts;

	if (real_ns / CLOCK_SEC != log->second) {
		log->to_realtime_ns = clock_to_realtime_ns(now_ns) - now_ns;
		real_ns = now_ns + log->to_realtime_ns;
		log->second = real_ns / CLOCK_SEC;
		second = (time_t)log->second;
		gmtime_r(&second, &parts);
		strftime(log->date, sizeof(log->date), "%Y-%m-%dT%H:%M:%S", &parts);
	}
	return (unsigned int)(real_ns / CLOCK_MS % 1000);
}

/* A line under construction; it is cut rather than overrun, which no real line comes near. */
struct text {
	char *at;
	size_t used, room;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
	va_list arguments;
	int count;

	va_start(arguments, format);
	count = vsnprintf(text->at + text->used, text->room - text->used, format, arguments);
	va_end(arguments);
	if (count > 0 && (size_t)count < text->room - text->used)
		text->used += (size_t)count;
}

static void put_bytes(struct text *text, const char *data, size_t length)
{
	if (length <= text->room - text->used) {
		memcpy(text->at + text->used, data, length);
		text->used += length;
	}
}

static void put_string(struct text *text, const char *name, const char *value, size_t length)
{
	put(text, ",\"%s\":\"", name);
	text->used +=
		json_escape(text->at + text->used, text->room - text->used - 1, value, length);
	put_bytes(text, "\"", 1);
}

static size_t format_line(struct access_log *log, char *out, const struct access_line *line,
			  uint64_t now_ns)
{
	struct text text = {.at = out, .room = ACCESS_LOG_LINE - 2};
	size_t target =
		line->target_length < ACCESS_LOG_TARGET ? line->target_length : ACCESS_LOG_TARGET;
	unsigned int ms = milliseconds(log, now_ns);

	put(&text, "{\"time\":\"%s.%03uZ\",\"listener\":\"%s\"", log->date, ms, line->listener);
	if (line->source)
		put(&text, ",\"source\":\"%s\",\"port\":%u", line->source, line->port);
	if (line->protocol)
		put_string(&text, "protocol", line->protocol, strlen(line->protocol));
	if (line->method_length)
		put_string(&text, "method", line->method, line->method_length);
	if (target)
		put_string(&text, "target", line->target, target);
	if (line->request_id_length)
		put_string(&text, "request_id", line->request_id, line->request_id_length);
	if (line->status)
		put(&text, ",\"status\":%d", line->status);
	if (line->suppressed)
		put(&text, ",\"suppressed\":%" PRIu32, line->suppressed);
	else
		put(&text,
		    ",\"in\":%" PRIu64 ",\"out\":%" PRIu64 ",\"duration_ms\":%" PRIu64 ".%03u",
		    line->in, line->out, (uint64_t)(line->duration_ns / CLOCK_MS),
		    (unsigned int)(line->duration_ns / 1000 % 1000));
	if (line->tls)
		put(&text, ",\"tls\":\"%s\",\"cipher\":\"%s\"", line->tls, line->cipher);
	if (line->name)
		put_string(&text, "sni", line->name, strlen(line->name));
	if (line->upstream)
		put_string(&text, "upstream", line->upstream, strlen(line->upstream));
	if (line->reason)
		put(&text, ",\"reason\":\"%s\"", line->reason);
	text.room = ACCESS_LOG_LINE;
	put_bytes(&text, "}\n", 2);
	return text.used;
}

bool access_log_add(struct access_log *log, const struct access_line *line, uint64_t now_ns)
{
	if (log->fd < 0)
		return true;
	if (ACCESS_LOG_BUFFER - log->used < ACCESS_LOG_LINE)
		access_log_flush(log);
	if (ACCESS_LOG_BUFFER - log->used < ACCESS_LOG_LINE)
		return false;
	log->used += format_line(log, log->data + log->used, line, now_ns);
	return true;
}
