/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of verdicts.def, settings.def and metrics.def as tables, and what follows from a row:
 * finding it by name, reading and writing its values, checking their range.
 *
 * Left out: where values are kept (wall/).
 */
#ifndef CONTRACT_ROWS_H
#define CONTRACT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "floodwall.h"

enum setting_scope { SCOPE_SERVICE, SCOPE_LISTENER, SCOPE_HOST };
enum setting_unit {
	UNIT_COUNT,
	UNIT_PER_SECOND,
	UNIT_MILLISECONDS,
	UNIT_BYTES,
	UNIT_BYTES_PER_SECOND,
	UNIT_SWITCH,
	UNIT_CHALLENGE,
};

/* A row of settings.def. */
struct setting_row {
	const char *name;
	enum setting_scope scope;
	enum setting_unit unit;
	uint64_t initial, min, max;
	const char *text;
};

/* Whether a verdict is held against the source whose connection it ends. */
enum verdict_fault {
	FAULT_NONE,
	FAULT_MISUSE, /* always, a part of one */
	FAULT_HOARD,  /* under overload */
	FAULT_ABUSE,  /* always, several */
};

/* A row of verdicts.def. */
struct verdict_row {
	const char *label;
	enum fw_action action;
	int status; /* HTTP; 0: none */
	enum verdict_fault fault;
	const char *text;
};

extern const struct setting_row setting_rows[FW_SETTING_COUNT];
extern const struct verdict_row verdict_rows[FW_VERDICT_COUNT]; /* [FW_NONE].label is "none" */

extern const char *const setting_unit_names[];        /* of enum setting_unit: "per_second" */
extern const char *const tier_names[FW_TIER_OWN + 1]; /* of enum fw_tier */
int tier_find(const char *name);                      /* −1: no such one */

/* Index of the setting that @name means in a @scope (HOST, or else the others); −1: no such one. */
int setting_find(const char *name, bool host);
int verdict_find(const char *label); /* −1: no such one */

/*
 * Reads "250ms", "10s", "5m", "64k", "on", or a plain number, as the row's unit allows (a time
 * other than 0 needs its unit), and checks the range. −EINVAL, −ERANGE with a text that says what
 * is allowed.
 */
int setting_parse(const struct setting_row *row, const char *text, uint64_t *value,
		  struct error *error);
/* The same, with a text that does not begin with the row's name. */
int setting_parse_value(const struct setting_row *row, const char *text, uint64_t *value,
			struct error *error);
/* Writes @value as setting_parse() would read it ("10s"). Returns @buffer. */
const char *setting_format(const struct setting_row *row, uint64_t value, char *buffer,
			   size_t size);
/* What it may be, for people: "50ms to 1h", "on or off". Returns @buffer. */
const char *setting_range(const struct setting_row *row, char *buffer, size_t size);
/* @value, or the nearest that the row allows: what every reader of the map does. */
uint64_t setting_clamp(enum fw_setting setting, uint64_t value);

/* What the proxy does when it runs short, by the metric overload_stage. Each stage includes those
 * before it, so that what costs clients least comes first. */
enum overload_stage {
	OVERLOAD_NONE,
	OVERLOAD_CLOSE,   /* connections are not kept alive */
	OVERLOAD_SHORTEN, /* deadlines are a fraction of what is set */
	OVERLOAD_EVICT,   /* who is new takes the place of who is worst */
	OVERLOAD_REFUSE,  /* and is refused, if nobody is worse */
	OVERLOAD_PAUSE,   /* nobody is accepted: they wait in the kernel's queue */
	OVERLOAD_STAGES,
};
extern const char *const server_state_names[FW_SERVER_STATES];
extern const char *const overload_stage_names[OVERLOAD_STAGES];

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_PEAK, METRIC_COUNTER_NS };
enum fw_metric {
#define FW_METRIC(id, name, kind, text) METRIC_##id,
#include "metrics.def"
#undef FW_METRIC
	METRIC_COUNT,
};
struct metric_row {
	const char *name;
	enum metric_kind kind;
	const char *text;
};
extern const struct metric_row metric_rows[METRIC_COUNT];

#endif
