/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's view of one service's live settings: the row of the shared table, clamped, and copied
 * often enough that an edit acts on running connections within a second. Between two copies a value
 * costs one load, and a handler sees one consistent policy.
 */
#ifndef PROXY_GUARD_LIVE_H
#define PROXY_GUARD_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "floodwall.h"

struct live {
	uint64_t value[FW_SETTING_COUNT];
};

/* Copies @service's row of @table, with the host's settings from the row of service 0. True: some
 * value is another than before. */
bool live_refresh(struct live *live, const volatile uint64_t *table, uint32_t service);

/* A time of settings.def as nanoseconds. */
static inline uint64_t live_ns(const struct live *live, enum fw_setting setting)
{
	return live->value[setting] * CLOCK_MS;
}

#endif
