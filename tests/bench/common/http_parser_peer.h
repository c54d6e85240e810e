/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_parser as a peer of ours. It is a unit of its own because both parsers name their methods
 * alike.
 */
#ifndef BENCH_COMMON_HTTP_PARSER_PEER_H
#define BENCH_COMMON_HTTP_PARSER_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* Parses one head, @step bytes at a time. false: refused, or not complete. */
bool peer_parse(const char *data, size_t length, size_t step, bool is_response);

#endif
