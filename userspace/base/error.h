/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An error that is meant to be read: what went wrong, where, and what to do about it.
 *
 * A function that can fail for reasons an operator can mend takes a `struct error *` as its last
 * parameter and returns 0 or −errno; on failure it has filled the text. Callers may add context in
 * front on the way up. NULL is allowed wherever nobody will read it.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdio.h>

#define ERROR_TEXT_SIZE 4096

struct error {
	char text[ERROR_TEXT_SIZE];
};

/* Replaces the text. Returns @code (−errno), so that `return error_set(e, -EINVAL, …);` reads well.
 */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text. Returns @code. */
int error_wrap(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Each line of a text, behind "prefix: ". */
void error_print_lines(FILE *file, const char *prefix, const char *text);

#endif
