/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which way a branch goes for a segment of an ordinary connection: the compiler spends fewer
 * instructions on that way, and what costs on the filter's fast path is their number. Where blocks
 * stand it leaves as they are written (LLVM does not reorder those of BPF).
 *
 * No stage, but how the stages on that path are laid out.
 */
#ifndef FLOODWALL_EXPECT_H
#define FLOODWALL_EXPECT_H

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
