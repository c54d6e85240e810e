/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers: as JSON, or the same values as text tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "cli.h"

#define COLUMNS_MAX 16
#define CELL_SIZE   256

void output_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(answer);
}

/* How wide text is: code points of UTF-8, which is what our own words and notes need. */
static int width(const char *text)
{
	int count = 0;

	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static void cell(const json_t *value, char *text)
{
	const json_t *element;
	size_t index, used = 0;

	text[0] = '\0';
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		snprintf(text, CELL_SIZE, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
		snprintf(text, CELL_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(text, CELL_SIZE, "%.1f", json_real_value(value));
		break;
	case JSON_TRUE:
		snprintf(text, CELL_SIZE, "yes");
		break;
	case JSON_FALSE:
		snprintf(text, CELL_SIZE, "no");
		break;
	case JSON_ARRAY:
		json_array_foreach(value, index, element)
		{
			if (used >= CELL_SIZE)
				break;
			used += (size_t)snprintf(text + used, CELL_SIZE - used, "%s%s",
						 index ? " " : "", json_string_value(element));
		}
		break;
	default:
		break;
	}
	if (!text[0])
		strcpy(text, "-");
}

static void measure(const struct column *columns, const json_t *rows, int *widths, bool *numeric)
{
	char text[CELL_SIZE];
	const json_t *row;
	size_t index;

	for (int i = 0; columns[i].key; i++) {
		widths[i] = width(columns[i].heading);
		numeric[i] = false;
		json_array_foreach(rows, index, row)
		{
			const json_t *value = json_object_get(row, columns[i].key);

			cell(value, text);
			if (width(text) > widths[i])
				widths[i] = width(text);
			numeric[i] |= json_is_number(value);
		}
	}
}

/* The last column is not padded, so that no line ends in spaces. */
static void print_cell(const char *text, int columns, bool right, bool last)
{
	int padding = columns - width(text);

	if (right)
		printf("%*s%s", padding, "", text);
	else
		printf("%s%*s", text, last ? 0 : padding, "");
	fputs(last ? "\n" : "  ", stdout);
}

void output_table(const struct column *columns, const json_t *rows)
{
	int widths[COLUMNS_MAX];
	bool numeric[COLUMNS_MAX];
	char text[CELL_SIZE];
	const json_t *row;
	size_t index;

	if (json_array_size(rows) == 0)
		return;
	measure(columns, rows, widths, numeric);
	for (int i = 0; columns[i].key; i++)
		print_cell(columns[i].heading, widths[i], numeric[i], !columns[i + 1].key);
	json_array_foreach(rows, index, row) for (int i = 0; columns[i].key; i++)
	{
		cell(json_object_get(row, columns[i].key), text);
		print_cell(text, widths[i], numeric[i], !columns[i + 1].key);
	}
}

int output_rows(const struct cli *cli, const struct column *columns, json_t *rows, const char *none)
{
	if (cli->json) {
		output_json(rows);
		return STATUS_OK;
	}
	if (json_array_size(rows) == 0)
		fputs(none, stdout);
	output_table(columns, rows);
	json_decref(rows);
	return STATUS_OK;
}

const char *output_duration(uint64_t ns, char buffer[32])
{
	uint64_t seconds = (ns + CLOCK_SEC / 2) / CLOCK_SEC;

	if (seconds < 120)
		snprintf(buffer, 32, "%" PRIu64 " s", seconds);
	else if (seconds < 120 * 60)
		snprintf(buffer, 32, "%" PRIu64 " min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(buffer, 32, "%" PRIu64 " h", seconds / 3600);
	else
		snprintf(buffer, 32, "%" PRIu64 " days", seconds / 86400);
	return buffer;
}

const char *output_time(uint64_t ns, char buffer[40])
{
	time_t seconds = (time_t)(ns / CLOCK_SEC);
	struct tm broken;
	char date[24];

	gmtime_r(&seconds, &broken);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &broken);
	snprintf(buffer, 40, "%s.%03uZ", date, (unsigned int)(ns / CLOCK_MS % 1000));
	return buffer;
}
