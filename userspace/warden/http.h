/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The admin address: GET /metrics, /healthz, /events, by libmicrohttpd.
 *
 * It runs inside the warden's own loop and thread, so that the wall has one user. Callers are
 * bounded: connections, memory and time for each.
 */
#ifndef WARDEN_HTTP_H
#define WARDEN_HTTP_H

#include "warden/warden.h"

struct http;

/* Serves the listening socket @options->listener. −errno. */
int http_open(const struct warden_options *options, struct http **http, struct error *error);
void http_close(struct http *http); /* NULL is allowed */
/* Readable when http_serve() has something to do. */
int http_descriptor(const struct http *http);
/* Does what is due; called at least each second, for its deadlines. */
void http_serve(struct http *http);

#endif
