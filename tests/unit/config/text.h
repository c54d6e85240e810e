/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration as a string: what it comes to, or every diagnostic about it. */
#ifndef TEST_CONFIG_TEXT_H
#define TEST_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>
#include "config/config.h"

#define APP "upstream app { server { address = \"127.0.0.1:8000\" } }\n"

static inline struct config *parsed(const char *text)
{
	struct config *config = NULL;
	struct error error = {""};

	if (config_parse(text, "f", &config, &error) < 0)
		fail_msg("refused: %s", error.text);
	return config;
}

static inline void assert_refused(const char *text, const char *diagnostics)
{
	struct config *config = NULL;
	struct error error = {""};

	assert_int_equal(config_parse(text, "f", &config, &error), -EINVAL);
	assert_null(config);
	assert_string_equal(error.text, diagnostics);
}

#endif
