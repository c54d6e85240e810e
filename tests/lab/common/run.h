/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a lab program: a start, an end that always comes, and one result to print.
 */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#define SECOND 1000000000ULL

/* Set by SIGINT and SIGTERM: stop early, and still print the result. */
extern volatile bool run_stopped;

/*
 * Handles those signals, allows as many descriptors as the kernel does, and makes the kernel end
 * the program (SIGALRM) some seconds after @seconds, whatever else happens.
 */
void run_begin(double seconds);

uint64_t run_clock(void); /* CLOCK_MONOTONIC, ns */

/* Prints @result and frees it: an object of JSON, or "name: value" lines. Returns the status to
 * exit with. */
int run_report(json_t *result, bool as_json);

#endif
