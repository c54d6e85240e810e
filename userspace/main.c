/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floodwalld: the order in which the daemon starts, and nothing else.
 *
 * Whatever can be refused is refused before anything has changed: a wrong file touches neither maps
 * nor sockets.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "supervisor/lists.h"
#include "supervisor/lock.h"
#include "supervisor/supervisor.h"
#include "supervisor/usage.h"

struct options {
	const char *path;
	bool check;
};

static const char usage[] =
	"Usage: floodwalld [--config FILE] [--check]\n"
	"\n"
	"  -c, --config FILE  read FILE instead of " CONFIG_PATH_DEFAULT "\n"
	"  -t, --check        say what is wrong with the configuration, change nothing\n"
	"  -V, --version      say which version this is\n"
	"  -h, --help         say this\n"
	"\n"
	"Stays in the foreground. SIGHUP reads the configuration again, SIGTERM drains and "
	"stops.\n";

/* Ends the program for what is answered at once. */
static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 't'},
		{"foreground", no_argument, NULL, 'f'},   {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
	struct options options = {.path = CONFIG_PATH_DEFAULT};
	int option;

	while ((option = getopt_long(argc, argv, "c:tfVh", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.path = optarg;
			break;
		case 't':
			options.check = true;
			break;
		case 'f':
			break; /* it never leaves it */
		case 'V':
			puts("floodwalld " FLOODWALL_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			exit(EXIT_FAILURE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "floodwalld: unexpected \"%s\"\n\n%s", argv[optind], usage);
		exit(EXIT_FAILURE);
	}
	return options;
}

/* The file's verdict on standard output and error, for people. */
static int check(const struct config *config)
{
	struct credentials *credentials = NULL;
	struct error warnings, error;

	if (credentials_load(config, NULL, &credentials, &warnings, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return EXIT_FAILURE;
	}
	credentials_free(credentials);
	error_print_lines(stdout, "warning", warnings.text);
	if (config_warnings(config, &warnings))
		error_print_lines(stdout, "warning", warnings.text);
	printf("%s: in order: %zu listeners, %zu other services, %zu upstreams\n", config->path,
	       config->listener_count, config->service_count - config->listener_count,
	       config->upstream_count);
	return EXIT_SUCCESS;
}

static int open_wall(const struct config *config, struct wall **wall, struct error *error)
{
	const struct wall_sizes sizes = {
		.connections = config->filter.connections,
		.sources = config->filter.sources,
		.blocks = config->filter.blocks,
	};

	return wall_open_or_create(wall, &sizes, config->filter.cgroup, error);
}

static int start(struct holdings *held, struct error *error)
{
	const struct config *config = held->config;
	struct error expiring;
	int result;

	held->tickets = tickets_create(clock_now_ns(), error);
	if (!held->tickets)
		return -ENOMEM;
	result = credentials_load(config, held->tickets, &held->credentials, &expiring, error);
	if (result < 0)
		return result;
	if (*expiring.text)
		log_lines(LOG_LEVEL_WARNING, "configuration", expiring.text);
	if ((result = open_wall(config, &held->wall, error)) < 0 ||
	    (result = held->lock = lock_take(wall_pin_path("meta"), error)) < 0 ||
	    (result = sockets_open(config, NULL, &held->sockets, error)) < 0)
		return result;
	if (config->admin && (result = held->admin = sockets_open_admin(config->admin, error)) < 0)
		return result;
	supervisor_report_tuned(held->wall, config);
	if ((result = wall_apply(held->wall, config, true, error)) < 0)
		return result;
	lists_load(held->wall, config, true);
	return supervisor_run(held, error);
}

static void release(struct holdings *held)
{
	sockets_close(&held->sockets, NULL);
	wall_close(held->wall);
	credentials_free(held->credentials);
	tickets_drop(held->tickets);
	config_free(held->config);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv);
	struct holdings held = {.admin = -1, .lock = -1};
	struct error error;
	int status;

	log_open("floodwalld");
	if (config_load(options.path, &held.config, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return EXIT_FAILURE;
	}
	if (options.check) {
		status = check(held.config);
		release(&held);
		return status;
	}
	log_set_level((enum log_level)log_level_parse(held.config->log_level));
	usage_raise_descriptors(held.config);
	if (config_warnings(held.config, &error))
		log_lines(LOG_LEVEL_WARNING, "configuration", error.text);
	status = start(&held, &error) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (status)
		log_lines(LOG_LEVEL_ERROR, "can't start", error.text);
	release(&held);
	return status;
}
