/* SPDX-License-Identifier: BSD-2-Clause */
/* What the HTTP/2 connections of one thread share. */
#ifndef PROXY_CLIENT_FRONT_HTTP2_ENGINE_H
#define PROXY_CLIENT_FRONT_HTTP2_ENGINE_H

#include <stdbool.h>
#include "base/pool.h"

struct nghttp2_option;
struct nghttp2_session_callbacks;

struct http2_engine {
	struct pool sessions, streams;
	struct nghttp2_session_callbacks *callbacks;
	struct nghttp2_option *options;
};

/* False: no memory. */
bool http2_engine_init(struct http2_engine *engine, struct pool_budget *budget);
void http2_engine_destroy(struct http2_engine *engine);

#endif
