/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of paths, each with the function that makes its answer. libmicrohttpd is driven from
 * outside: its epoll descriptor in the warden's poll(), its work in http_serve().
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "warden/events.h"
#include "warden/http.h"
#include "warden/metrics.h"

#define CONNECTIONS        64
#define CONNECTION_SECONDS 15
#define CONNECTION_MEMORY  (16 * 1024)

struct http {
	struct MHD_Daemon *daemon;
	struct warden_options options;
	int descriptor;
};

/* What is sent: @text is malloc'd, or NULL: the answer could not be made. */
struct answer {
	char *text;
	size_t length;
	const char *type;
};

static struct answer answer_metrics(struct http *http, struct MHD_Connection *connection)
{
	struct answer answer = {.type = "text/plain; version=0.0.4; charset=utf-8"};
	FILE *out = open_memstream(&answer.text, &answer.length);
	struct error error;
	int result;

	(void)connection;
	if (!out)
		return answer;
	result = metrics_write(out, &http->options, &error);
	if (result < 0)
		log_error("metrics: %s", error.text);
	if (fclose(out) != 0 || result < 0) {
		free(answer.text);
		answer.text = NULL;
	}
	return answer;
}

static struct answer answer_text(char *text, const char *type)
{
	return (struct answer){text, text ? strlen(text) : 0, type};
}

static struct answer answer_health(struct http *http, struct MHD_Connection *connection)
{
	(void)http;
	(void)connection;
	return answer_text(strdup("ok\n"), "text/plain");
}

/* ?count=N */
static struct answer answer_events(struct http *http, struct MHD_Connection *connection)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "count");
	size_t count = text ? strtoul(text, NULL, 10) : EVENTS_DEFAULT;

	return answer_text(events_write(http->options.wall, count), "application/json");
}

static const struct page {
	const char *path;
	struct answer (*answer)(struct http *http, struct MHD_Connection *connection);
} pages[] = {
	{"/metrics", answer_metrics},
	{"/healthz", answer_health},
	{"/events", answer_events},
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status,
			     struct answer answer)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = answer.text ? MHD_create_response_from_buffer(answer.length, answer.text,
								 MHD_RESPMEM_MUST_FREE)
			       : NULL;
	if (!response) {
		free(answer.text);
		return MHD_NO; /* closes the connection */
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *body, size_t *body_size, void **state)
{
	struct http *http = context;
	struct answer answer;

	(void)version;
	(void)body;
	if (!*state) { /* the header is there; a body, if any, is read and thrown away */
		*state = http;
		return MHD_YES;
	}
	if (*body_size) {
		*body_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			     answer_text(strdup("only GET\n"), "text/plain"));
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].path, path))
			continue;
		answer = pages[i].answer(http, connection);
		if (answer.text)
			return reply(connection, MHD_HTTP_OK, answer);
		return reply(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			     answer_text(strdup("the filter's maps can't be read; see the log\n"),
					 "text/plain"));
	}
	return reply(
		connection, MHD_HTTP_NOT_FOUND,
		answer_text(strdup("there are /metrics, /healthz and /events\n"), "text/plain"));
}

static void on_log(void *context, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void on_log(void *context, const char *format, va_list args)
{
	char text[512];

	(void)context;
	vsnprintf(text, sizeof(text), format, args);
	log_lines(LOG_LEVEL_DEBUG, "admin", text);
}

int http_open(const struct warden_options *options, struct http **http, struct error *error)
{
	struct http *opened = calloc(1, sizeof(*opened));
	const union MHD_DaemonInfo *info;

	if (!opened)
		return error_set(error, -ENOMEM, "out of memory");
	opened->options = *options;
	opened->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, opened,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		options->listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CONNECTION_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	info = opened->daemon ? MHD_get_daemon_info(opened->daemon, MHD_DAEMON_INFO_EPOLL_FD)
			      : NULL;
	if (!info) {
		http_close(opened);
		return error_set(error, -EIO, "admin: libmicrohttpd does not start");
	}
	opened->descriptor = info->epoll_fd;
	*http = opened;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	free(http);
}

int http_descriptor(const struct http *http)
{
	return http->descriptor;
}

void http_serve(struct http *http)
{
	MHD_run(http->daemon);
}
