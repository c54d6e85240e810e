/* SPDX-License-Identifier: BSD-2-Clause */
/* What one thread's HTTP/2 connections to servers share. */
#ifndef PROXY_CLIENT_BACK_SESSION_ENGINE_H
#define PROXY_CLIENT_BACK_SESSION_ENGINE_H

#include "base/account.h"
#include "base/list.h"
#include "proxy/guard/board.h"
#include "proxy/upstream/upstream.h"

struct loop;
struct nghttp2_option;
struct nghttp2_session_callbacks;

enum { SESSION_SLOTS = 64 };

struct session_engine {
	struct loop *loop;
	struct board_row board; /* of the host */
	struct pool sessions, streams;
	struct ledger ledger;             /* of their memory: each has an account of its own */
	struct list roomy[SESSION_SLOTS]; /* those that may be joined, by their server */
	struct list full;                 /* the others */
	struct list due;                  /* those that have something to say */
	uint64_t open;
	struct nghttp2_session_callbacks *callbacks;
	struct nghttp2_option *options;
};

/* False: no memory. @board is to be set before anything else is done. */
bool session_engine_init(struct session_engine *engine, struct loop *loop,
			 struct pool_budget *budget, struct buffers *buffers);
/* Closes all connections. No request may be on them; the loop still releases what was closed. */
void session_engine_close(struct session_engine *engine);
void session_engine_destroy(struct session_engine *engine);

/* Takes over links of this thread that were opened ahead. */
struct upstream_newborn session_engine_newborn(struct session_engine *engine);

/* Sends what has gathered in this turn of the loop. */
void session_engine_flush(struct session_engine *engine);

#endif
