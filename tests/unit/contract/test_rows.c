/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows: found by name, values read and written as each unit has them, ranges kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "contract/rows.h"

static struct error error;

static int parse(enum fw_setting setting, const char *text, uint64_t *value)
{
	*value = 4711;
	return setting_parse(&setting_rows[setting], text, value, &error);
}

static void assert_reads(enum fw_setting setting, const char *text, uint64_t expected)
{
	uint64_t value;

	error.text[0] = '\0';
	if (parse(setting, text, &value) != 0)
		fail_msg("%s: %s", text, error.text);
	assert_int_equal(value, expected);
}

/* Refused with @code, the value untouched, and a text that names the setting and says @hint. */
static void assert_refuses(enum fw_setting setting, const char *text, int code, const char *hint)
{
	uint64_t value;

	assert_int_equal(parse(setting, text, &value), code);
	assert_int_equal(value, 4711);
	assert_non_null(strstr(error.text, setting_rows[setting].name));
	if (!strstr(error.text, hint))
		fail_msg("\"%s\" does not say \"%s\"", error.text, hint);
}

static void one_name_means_two_settings_by_scope(void **state)
{
	(void)state;
	assert_int_equal(setting_find("max_connections", true), FW_SET_HOST_MAX_CONNECTIONS);
	assert_int_equal(setting_find("max_connections", false), FW_SET_MAX_CONNECTIONS);
	assert_int_equal(setting_find("source.syn_rate", false), FW_SET_SOURCE_SYN_RATE);
	assert_int_equal(setting_find("source.syn_rate", true), -1);
	assert_int_equal(setting_find("source", false), -1);
	assert_int_equal(setting_find("", false), -1);
}

static void every_verdict_is_found_by_its_label_once(void **state)
{
	(void)state;
	for (int i = 0; i < FW_VERDICT_COUNT; i++)
		assert_int_equal(verdict_find(verdict_rows[i].label), i);
	assert_int_equal(verdict_find("nonesuch"), -1);
	assert_int_equal(verdict_find("land"), FW_LAND);
}

static void every_setting_is_found_by_its_name_once(void **state)
{
	(void)state;
	for (int i = 0; i < FW_SETTING_COUNT; i++)
		assert_int_equal(
			setting_find(setting_rows[i].name, setting_rows[i].scope == SCOPE_HOST), i);
}

static void words(void **state)
{
	char text[32];

	(void)state;
	assert_reads(FW_SET_CHALLENGE_MODE, "never", FW_CHALLENGE_NEVER);
	assert_reads(FW_SET_CHALLENGE_MODE, "auto", FW_CHALLENGE_AUTO);
	assert_reads(FW_SET_CHALLENGE_MODE, "always", FW_CHALLENGE_ALWAYS);
	assert_refuses(FW_SET_CHALLENGE_MODE, "on", -EINVAL, "never, auto or always");
	assert_refuses(FW_SET_CHALLENGE_MODE, "1", -EINVAL, "never, auto or always");
	assert_refuses(FW_SET_MONITOR, "auto", -EINVAL, "on or off");
	for (uint64_t mode = FW_CHALLENGE_NEVER; mode <= FW_CHALLENGE_ALWAYS; mode++)
		assert_reads(FW_SET_CHALLENGE_MODE,
			     setting_format(&setting_rows[FW_SET_CHALLENGE_MODE], mode, text,
					    sizeof(text)),
			     mode);
}

static void counts(void **state)
{
	(void)state;
	assert_reads(FW_SET_SOURCE_CONNECTIONS, "0", 0);
	assert_reads(FW_SET_SOURCE_CONNECTIONS, "250", 250);
	assert_reads(FW_SET_SOURCE_CONNECTIONS, "20k", 20000);
	assert_reads(FW_SET_SOURCE_CONNECTIONS, "2m", 2000000);
	assert_reads(FW_SET_SOURCE_SYN_RATE, "5k", 5000);
	assert_reads(FW_SET_SOURCE_CONNECTIONS, "16777215", 16777215);
	assert_refuses(FW_SET_SOURCE_CONNECTIONS, "16777216", -ERANGE, "above 16777215");
	assert_refuses(FW_SET_SOURCE_SYN_BURST, "0", -ERANGE, "below 1");
	for (size_t i = 0; i < 9; i++)
		assert_refuses(
			FW_SET_SOURCE_CONNECTIONS,
			(const char *[]){"", "-1", "+1", " 1", "1 ", "1s", "k", "0x10", "1.5"}[i],
			-EINVAL, "such as 500 or 20k");
}

static void times_need_their_unit(void **state)
{
	(void)state;
	assert_reads(FW_SET_TIMEOUT_HEADER, "250ms", 250);
	assert_reads(FW_SET_TIMEOUT_HEADER, "10s", 10000);
	assert_reads(FW_SET_TIMEOUT_HEADER, "5m", 300000);
	assert_reads(FW_SET_TIMEOUT_HEADER, "1h", 3600000);
	assert_reads(FW_SET_TIMEOUT_BODY, "0", 0);
	assert_refuses(FW_SET_TIMEOUT_HEADER, "10", -EINVAL, "10s");
	assert_refuses(FW_SET_TIMEOUT_HEADER, "10 s", -EINVAL, "10s");
	assert_refuses(FW_SET_TIMEOUT_HEADER, "9ms", -ERANGE, "below 10ms");
	assert_refuses(FW_SET_TIMEOUT_HEADER, "0", -ERANGE, "below 10ms");
	assert_refuses(FW_SET_TIMEOUT_HEADER, "2h", -ERANGE, "above 1h");
}

static void bytes_count_by_1024(void **state)
{
	(void)state;
	assert_reads(FW_SET_LIMIT_HEADER, "64k", 65536);
	assert_reads(FW_SET_LIMIT_HEADER, "8192", 8192);
	assert_reads(FW_SET_LIMIT_BODY, "1g", 1 << 30);
	assert_reads(FW_SET_LIMIT_BODY, "10m", 10 << 20);
	assert_reads(FW_SET_MIN_RATE_SEND, "1k", 1024);
	assert_refuses(FW_SET_LIMIT_HEADER, "65k", -ERANGE, "above 64k");
	assert_refuses(FW_SET_LIMIT_HEADER, "64K", -EINVAL, "64k");
}

static void switches(void **state)
{
	const char *on[] = {"on", "1", "yes", "true"}, *off[] = {"off", "0", "no", "false"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_reads(FW_SET_MONITOR, on[i], 1);
		assert_reads(FW_SET_MONITOR, off[i], 0);
	}
	assert_refuses(FW_SET_MONITOR, "2", -EINVAL, "on or off");
	assert_refuses(FW_SET_MONITOR, "", -EINVAL, "on or off");
}

static void overflow_is_out_of_range_not_wrapped(void **state)
{
	(void)state;
	assert_refuses(FW_SET_LIMIT_BODY, "18446744073709551616", -ERANGE, "above");
	assert_refuses(FW_SET_LIMIT_BODY, "18446744073709551615g", -ERANGE, "above");
	assert_refuses(FW_SET_TIMEOUT_HEADER, "99999999999999999999999999s", -ERANGE, "above 1h");
}

static void what_is_written_reads_as_the_same_value(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < FW_SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];
		uint64_t values[] = {row->min, row->initial, row->max, row->min + 1,
				     row->max - row->max / 3};

		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++)
			assert_reads(i, setting_format(row, values[j], text, sizeof(text)),
				     values[j]);
	}
}

static void values_are_written_with_the_largest_unit_that_divides(void **state)
{
	char text[32];
	const struct setting_row *time = &setting_rows[FW_SET_TIMEOUT_BODY];
	const struct setting_row *bytes = &setting_rows[FW_SET_LIMIT_BODY];

	(void)state;
	assert_string_equal(setting_format(time, 0, text, sizeof(text)), "0");
	assert_string_equal(setting_format(time, 10000, text, sizeof(text)), "10s");
	assert_string_equal(setting_format(time, 90000, text, sizeof(text)), "90s");
	assert_string_equal(setting_format(time, 1500, text, sizeof(text)), "1500ms");
	assert_string_equal(setting_format(time, 7200000, text, sizeof(text)), "2h");
	assert_string_equal(setting_format(bytes, 65536, text, sizeof(text)), "64k");
	assert_string_equal(setting_format(bytes, 65537, text, sizeof(text)), "65537");
	assert_string_equal(
		setting_format(&setting_rows[FW_SET_SOURCE_CONNECTIONS], 20000, text, sizeof(text)),
		"20000");
}

static void readers_clamp(void **state)
{
	(void)state;
	assert_int_equal(setting_clamp(FW_SET_TIMEOUT_HEADER, 0), 10);
	assert_int_equal(setting_clamp(FW_SET_TIMEOUT_HEADER, UINT64_MAX), 3600000);
	assert_int_equal(setting_clamp(FW_SET_TIMEOUT_HEADER, 20), 20);
	assert_int_equal(setting_clamp(FW_SET_MONITOR, 7), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_name_means_two_settings_by_scope),
		cmocka_unit_test(every_verdict_is_found_by_its_label_once),
		cmocka_unit_test(every_setting_is_found_by_its_name_once),
		cmocka_unit_test(words),
		cmocka_unit_test(counts),
		cmocka_unit_test(times_need_their_unit),
		cmocka_unit_test(bytes_count_by_1024),
		cmocka_unit_test(switches),
		cmocka_unit_test(overflow_is_out_of_range_not_wrapped),
		cmocka_unit_test(what_is_written_reads_as_the_same_value),
		cmocka_unit_test(values_are_written_with_the_largest_unit_that_divides),
		cmocka_unit_test(readers_clamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
