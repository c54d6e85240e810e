/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line is put together on the stack and written at once. Nothing is buffered, so that the last
 * words of a process that dies are there to read. And nobody waits for whoever reads: a line that a
 * full pipe or socket does not take is lost, and told as a number later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"

#define LINE_SIZE 2048

static const struct {
	const char *name;
	const char *prefix; /* of a line on a terminal or in a file */
	int priority;       /* syslog's, for the journal: sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "error: ", 3},
	[LOG_LEVEL_WARNING] = {"warning", "warning: ", 4},
	[LOG_LEVEL_INFO] = {"info", "", 6},
	[LOG_LEVEL_DEBUG] = {"debug", "debug: ", 7},
};

static const char *process_name = "floodwalld";
static bool to_journal, to_socket;
static atomic_uint lost; /* lines, not told yet */
static atomic_int threshold = LOG_LEVEL_INFO;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream; it is inherited even where
 * standard error was redirected since, hence the comparison. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &status) && status.st_dev == device && status.st_ino == inode;
}

/* A pipe is opened anew, so that not to wait concerns nobody else who writes there. */
static void stop_waiting(void)
{
	struct stat status;
	int own;

	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	to_socket = S_ISSOCK(status.st_mode);
	if (!S_ISFIFO(status.st_mode))
		return;
	own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return;
	dup2(own, STDERR_FILENO);
	close(own);
}

void log_open(const char *name)
{
	process_name = name;
	to_journal = stderr_is_journal();
	stop_waiting();
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

int log_level_parse(const char *text)
{
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
		if (!strcmp(levels[level].name, text))
			return level;
	return -EINVAL;
}

static size_t put_head(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm local;
	char stamp[32];
	int length;

	if (to_journal) {
		length = snprintf(line, size, "<%d>%s: ", levels[level].priority, process_name);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &local);
		strftime(stamp, sizeof(stamp), "%F %T", &local);
		length = snprintf(line, size, "%s.%03ld %s: %s", stamp, now.tv_nsec / 1000000,
				  process_name, levels[level].prefix);
	}
	return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

static bool put_line(const char *line, size_t length)
{
	if (to_socket)
		return send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	return write(STDERR_FILENO, line, length) >= 0;
}

/* Before the next line, since it belongs there. */
static void tell_lost(void)
{
	unsigned int count = atomic_exchange(&lost, 0);
	char line[LINE_SIZE];
	size_t length;

	if (!count)
		return;
	length = put_head(line, sizeof(line), LOG_LEVEL_WARNING);
	length += (size_t)snprintf(line + length, sizeof(line) - length,
				   "%u lines were lost: nobody read them\n", count);
	if (!put_line(line, length))
		atomic_fetch_add(&lost, count);
}

void log_write(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char line[LINE_SIZE];
	size_t length;
	va_list args;
	int added;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	length = put_head(line, sizeof(line) - 1, level);
	va_start(args, format);
	added = vsnprintf(line + length, sizeof(line) - 1 - length, format, args);
	va_end(args);
	if (added > 0)
		length += (size_t)added;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	tell_lost();
	if (!put_line(line, length))
		atomic_fetch_add(&lost, 1);
	errno = saved;
}

void log_lines(enum log_level level, const char *context, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		log_write(level, "%s: %.*s", context, (int)length, text);
		text += length + (text[length] == '\n');
	}
}
