/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which way a branch goes for a segment of an ordinary connection. The compiler puts that way in a
 * straight line: a filter's fast path has few instructions, and what costs is jumping to them.
 *
 * No stage, but how the stages on that path are laid out.
 */
#ifndef FLOODWALL_EXPECT_H
#define FLOODWALL_EXPECT_H

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
