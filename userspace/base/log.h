/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an operator should read, on standard error, one line each:
 *
 *     2026-03-01 12:00:00.123 floodwalld[proxy]: warning: …
 *
 * Where the journal listens the line starts with its priority instead ("<4>floodwalld[proxy]: …"):
 * it keeps the time itself. A line is one write(), so those of several threads and processes never
 * mix; one that is not taken at once is lost, and counted. Left out: the access log, and anything a
 * client could make arbitrarily frequent.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the process ("floodwalld[proxy]") and looks whether standard error is the journal. @name is
 * kept, not copied. Before any thread starts. */
void log_open(const char *name);
/* Lines above @level are not written; LOG_LEVEL_INFO until this is called. */
void log_set_level(enum log_level level);
/* "error", "warning", "info", "debug"; −EINVAL. */
int log_level_parse(const char *text);

/* One line on standard error, cut if it is too long. Keeps errno, and nobody waiting: what standard
 * error does not take is lost, and counted in a later line. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Each line of @text as one of its own, "@context: " in front; for complaints that span lines. */
void log_lines(enum log_level level, const char *context, const char *text);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
