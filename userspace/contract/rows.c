/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The .def files as tables, and the text forms of a setting's value.
 *
 * Reading and writing are inverse: what setting_format() writes, setting_parse() reads as the same
 * value, whatever the unit. A duration needs its unit, since nobody can tell what a bare 10 means.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "contract/rows.h"

const struct setting_row setting_rows[FW_SETTING_COUNT] = {
#define FW_SETTING(id, name, scope, unit, def, min, max, text)                                     \
	[FW_SET_##id] = {name, SCOPE_##scope, UNIT_##unit, def, min, max, text},
#include "settings.def"
#undef FW_SETTING
};

const struct verdict_row verdict_rows[FW_VERDICT_COUNT] = {
	[FW_NONE] = {"none", FW_ACTION_PASS, 0, FAULT_NONE, "not judged"},
#define FW_VERDICT(id, label, action, status, fault, text)                                         \
	[FW_##id] = {label, FW_ACTION_##action, status, FAULT_##fault, text},
#include "verdicts.def"
#undef FW_VERDICT
};

const struct metric_row metric_rows[METRIC_COUNT] = {
#define FW_METRIC(id, name, kind, text) [METRIC_##id] = {name, METRIC_##kind, text},
#include "metrics.def"
#undef FW_METRIC
};

const char *const server_state_names[FW_SERVER_STATES] = {
	[FW_SERVER_UP] = "up",     [FW_SERVER_TRIAL] = "trial",     [FW_SERVER_EJECTED] = "ejected",
	[FW_SERVER_DOWN] = "down", [FW_SERVER_NOWHERE] = "nowhere",
};

const char *const overload_stage_names[OVERLOAD_STAGES] = {
	[OVERLOAD_NONE] = "none",
	[OVERLOAD_CLOSE] = "connections are not kept alive",
	[OVERLOAD_SHORTEN] = "deadlines are shortened",
	[OVERLOAD_EVICT] = "the worst connections make room",
	[OVERLOAD_REFUSE] = "newcomers are refused",
	[OVERLOAD_PAUSE] = "nobody is accepted",
};

const char *const setting_unit_names[] = {
	[UNIT_COUNT] = "count",
	[UNIT_PER_SECOND] = "per_second",
	[UNIT_MILLISECONDS] = "milliseconds",
	[UNIT_BYTES] = "bytes",
	[UNIT_BYTES_PER_SECOND] = "bytes_per_second",
	[UNIT_SWITCH] = "switch",
	[UNIT_CHALLENGE] = "challenge",
};

/* A row that contradicts itself, or a table that outgrew its map, does not compile. */
#define FW_SETTING(id, name, scope, unit, def, min, max, text)                                     \
	_Static_assert((min) <= (def) && (def) <= (max), "default of " name " is out of its "      \
							 "range");
#include "settings.def"
#undef FW_SETTING
_Static_assert((int)FW_SETTING_COUNT <= (int)FW_SETTINGS_MAX,
	       "settings.def outgrew FW_SETTINGS_MAX");
_Static_assert((int)FW_VERDICT_COUNT <= (int)FW_VERDICTS_MAX,
	       "verdicts.def outgrew FW_VERDICTS_MAX");
_Static_assert((int)METRIC_COUNT <= (int)FW_METRICS_MAX, "metrics.def outgrew FW_METRICS_MAX");

/* A unit's suffixes, largest factor first; the entry without a suffix is the plain number. */
struct suffix {
	const char *text;
	uint64_t factor;
};

static const struct suffix count_suffixes[] = {{"m", 1000000}, {"k", 1000}, {"", 1}, {NULL, 0}};
static const struct suffix byte_suffixes[] = {
	{"g", 1ULL << 30}, {"m", 1ULL << 20}, {"k", 1ULL << 10}, {"", 1}, {NULL, 0}};
static const struct suffix time_suffixes[] = {
	{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

static const struct {
	const struct suffix *suffixes; /* NULL: words */
	const char *allowed;           /* for people */
	bool factored;                 /* values are written with the largest factor that divides */
} units[] = {
	[UNIT_COUNT] = {count_suffixes, "a number, such as 500 or 20k", false},
	[UNIT_PER_SECOND] = {count_suffixes, "a number per second, such as 500 or 20k", false},
	[UNIT_MILLISECONDS] = {time_suffixes, "a time with its unit, such as 250ms, 10s, 5m or 1h",
			       true},
	[UNIT_BYTES] = {byte_suffixes, "bytes, such as 8192, 64k or 10m", true},
	[UNIT_BYTES_PER_SECOND] = {byte_suffixes, "bytes per second, such as 500 or 64k", true},
	[UNIT_SWITCH] = {NULL, "on or off", false},
	[UNIT_CHALLENGE] = {NULL, "never, auto or always", false},
};

/* The first word for a value is the one that it is written as. */
static const struct {
	enum setting_unit unit;
	const char *text;
	uint64_t value;
} words[] = {
	{UNIT_SWITCH, "on", 1},
	{UNIT_SWITCH, "off", 0},
	{UNIT_SWITCH, "1", 1},
	{UNIT_SWITCH, "0", 0},
	{UNIT_SWITCH, "yes", 1},
	{UNIT_SWITCH, "no", 0},
	{UNIT_SWITCH, "true", 1},
	{UNIT_SWITCH, "false", 0},
	{UNIT_CHALLENGE, "never", FW_CHALLENGE_NEVER},
	{UNIT_CHALLENGE, "auto", FW_CHALLENGE_AUTO},
	{UNIT_CHALLENGE, "always", FW_CHALLENGE_ALWAYS},
};

int setting_find(const char *name, bool host)
{
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		if ((setting_rows[i].scope == SCOPE_HOST) == host &&
		    strcmp(setting_rows[i].name, name) == 0)
			return i;
	return -1;
}

int verdict_find(const char *label)
{
	for (int i = 0; i < FW_VERDICT_COUNT; i++)
		if (strcmp(verdict_rows[i].label, label) == 0)
			return i;
	return -1;
}

const char *const tier_names[FW_TIER_OWN + 1] = {
	[FW_TIER_DROP] = "drop", [FW_TIER_KERNEL] = "kernel", [FW_TIER_OWN] = "own"};

int tier_find(const char *name)
{
	for (int i = 0; i <= FW_TIER_OWN; i++)
		if (strcmp(tier_names[i], name) == 0)
			return i;
	return -1;
}

/* A decimal number and one of @suffixes. */
static int parse_quantity(const struct suffix *suffixes, const char *text, uint64_t *value)
{
	uint64_t number = 0;
	const char *rest = text;

	for (; *rest >= '0' && *rest <= '9'; rest++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *rest - '0', &number))
			return -ERANGE;
	if (rest == text)
		return -EINVAL;
	*value = 0;
	if (number == 0 && !*rest)
		return 0; /* none of anything needs no unit */
	for (; suffixes->text; suffixes++)
		if (strcmp(rest, suffixes->text) == 0)
			return __builtin_mul_overflow(number, suffixes->factor, value) ? -ERANGE
										       : 0;
	return -EINVAL;
}

static int parse_word(enum setting_unit unit, const char *text, uint64_t *value)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].unit == unit && strcmp(words[i].text, text) == 0) {
			*value = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *word_of(enum setting_unit unit, uint64_t value)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].unit == unit && words[i].value == value)
			return words[i].text;
	return "?";
}

int setting_parse_value(const struct setting_row *row, const char *text, uint64_t *value,
			struct error *error)
{
	const struct suffix *suffixes = units[row->unit].suffixes;
	char limit[32];
	uint64_t parsed = 0;
	int result;

	result = suffixes ? parse_quantity(suffixes, text, &parsed)
			  : parse_word(row->unit, text, &parsed);
	if (result == -EINVAL)
		return error_set(error, -EINVAL, "\"%s\" is not %s", text,
				 units[row->unit].allowed);
	if (result == -ERANGE || parsed > row->max)
		return error_set(error, -ERANGE, "%s is above %s", text,
				 setting_format(row, row->max, limit, sizeof(limit)));
	if (parsed < row->min)
		return error_set(error, -ERANGE, "%s is below %s", text,
				 setting_format(row, row->min, limit, sizeof(limit)));
	*value = parsed;
	return 0;
}

int setting_parse(const struct setting_row *row, const char *text, uint64_t *value,
		  struct error *error)
{
	struct error why;
	int result = setting_parse_value(row, text, value, &why);

	return result < 0 ? error_set(error, result, "%s: %s", row->name, why.text) : 0;
}

const char *setting_format(const struct setting_row *row, uint64_t value, char *buffer, size_t size)
{
	const struct suffix *suffix = units[row->unit].suffixes;

	if (!suffix) {
		snprintf(buffer, size, "%s", word_of(row->unit, value));
		return buffer;
	}
	if (value == 0 || !units[row->unit].factored) {
		snprintf(buffer, size, "%" PRIu64, value);
		return buffer;
	}
	while (value % suffix->factor) /* the last factor is 1 */
		suffix++;
	snprintf(buffer, size, "%" PRIu64 "%s", value / suffix->factor, suffix->text);
	return buffer;
}

const char *setting_range(const struct setting_row *row, char *buffer, size_t size)
{
	char least[32], most[32];

	if (units[row->unit].suffixes)
		snprintf(buffer, size, "%s to %s",
			 setting_format(row, row->min, least, sizeof(least)),
			 setting_format(row, row->max, most, sizeof(most)));
	else
		snprintf(buffer, size, "%s", units[row->unit].allowed);
	return buffer;
}

uint64_t setting_clamp(enum fw_setting setting, uint64_t value)
{
	const struct setting_row *row = &setting_rows[setting];

	return value < row->min ? row->min : value > row->max ? row->max : value;
}
