/* SPDX-License-Identifier: BSD-2-Clause */
/* See run.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "run.h"

#define GRACE_SECONDS 15

volatile bool run_stopped;

static void on_stop(int signal_number)
{
	(void)signal_number;
	run_stopped = true;
}

void run_begin(double seconds)
{
	struct sigaction action = {.sa_handler = on_stop};
	struct rlimit descriptors;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	alarm((unsigned int)seconds + GRACE_SECONDS);

	descriptors.rlim_cur = descriptors.rlim_max = 1 << 20;
	if (setrlimit(RLIMIT_NOFILE, &descriptors) && !getrlimit(RLIMIT_NOFILE, &descriptors)) {
		descriptors.rlim_cur = descriptors.rlim_max;
		setrlimit(RLIMIT_NOFILE, &descriptors);
	}
}

uint64_t run_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

int run_report(json_t *result, bool as_json)
{
	const char *name;
	json_t *value;
	int status = EXIT_SUCCESS;

	if (!result) {
		fprintf(stderr, "no memory for the result\n");
		return EXIT_FAILURE;
	}
	if (as_json) {
		json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		printf("\n");
	} else {
		json_object_foreach(result, name, value)
		{
			printf("%s: ", name);
			json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
			printf("\n");
		}
	}
	if (fflush(stdout))
		status = EXIT_FAILURE;
	json_decref(result);
	return status;
}
