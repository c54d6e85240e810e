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
#include "supervisor/change/handover.h"
#include "supervisor/duties/lists.h"
#include "supervisor/duties/tuned.h"
#include "supervisor/duties/usage.h"
#include "supervisor/lock.h"
#include "supervisor/sockets/activation.h"
#include "supervisor/supervisor.h"

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
	"Stays in the foreground. SIGHUP reads the configuration again (floodwall reload also "
	"says\n"
	"how that went), SIGUSR2 goes over to the floodwalld that is installed, SIGTERM drains "
	"and\n"
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

static int refuse(const struct error *error)
{
	fprintf(stderr, "%s\n", error->text);
	return EXIT_FAILURE;
}

/* Whether the filter's maps, which outlive every program, are of this program's form. */
static int check_wall(struct error *error)
{
	struct wall *wall = NULL;
	int result = wall_open(&wall, error);

	wall_close(wall);
	return result;
}

static int check_config(const struct config *config)
{
	struct credentials *credentials = NULL;
	struct error warnings, error;

	if (credentials_load(config, NULL, &credentials, &warnings, &error) < 0 ||
	    (handover_is_rehearsal() && check_wall(&error) < 0))
		return refuse(&error);
	credentials_free(credentials);
	error_print_lines(stdout, "warning", warnings.text);
	if (config_warnings(config, &warnings))
		error_print_lines(stdout, "warning", warnings.text);
	printf("%s: in order: %zu listeners, %zu other services, %zu upstreams\n", config->path,
	       config->listener_count, config->service_count - config->listener_count,
	       config->upstream_count);
	return EXIT_SUCCESS;
}

/* The file's verdict on standard output and error, for people; and, if that is the question,
 * whether this program could take over from the one that runs. */
static int check(const char *path)
{
	struct config *config = NULL;
	struct error error;
	int status;

	if (config_load(path, &config, &error) < 0)
		return refuse(&error);
	status = check_config(config);
	config_free(config);
	if (status == EXIT_SUCCESS && handover_is_rehearsal())
		handover_say_yes();
	return status;
}

/* As the supervisor before this one had them, or new. */
static int open_keys(struct holdings *held, struct handover *before, struct error *error)
{
	if (before)
		held->tickets = tickets_adopt(before->tickets, error);
	else
		held->tickets = tickets_create(clock_now_ns(), error);
	return held->tickets ? 0 : -ENOMEM;
}

static int open_sockets(struct holdings *held, struct handover *before, struct error *error)
{
	int result;

	if (before)
		held->received = before->sockets;
	else
		activation_receive(&held->received);
	result = sockets_open(held->config, &held->received, &held->sockets, error);
	if (result == 0 && held->config->admin)
		result = held->admin =
			sockets_open_admin(held->config->admin, &held->received, error);
	return result < 0 ? result : 0;
}

static int start(struct holdings *held, struct handover *before, struct error *error)
{
	const struct config *config = held->config;
	struct error expiring;
	int result;

	if ((result = open_keys(held, before, error)) < 0)
		return result;
	result = credentials_load(config, held->tickets, &held->credentials, &expiring, error);
	if (result < 0)
		return result;
	if (*expiring.text)
		log_lines(LOG_LEVEL_WARNING, "configuration", expiring.text);
	result = wall_open_or_create(&held->wall, &config->filter.sizes, config->filter.cgroup,
				     error);
	if (result < 0)
		return result;
	result = held->lock = before ? before->lock : lock_take(wall_pin_path("meta"), error);
	if (result < 0 || (result = open_sockets(held, before, error)) < 0)
		return result;
	tuned_report(held->wall, config);
	if ((result = wall_apply(held->wall, config, true, error)) < 0)
		return result;
	lists_load(held->wall, config, true);
	return supervisor_run(held, before, error);
}

static void release(struct holdings *held)
{
	sockets_close(&held->sockets, NULL);
	wall_close(held->wall);
	credentials_free(held->credentials);
	tickets_drop(held->tickets);
	config_free(held->config);
}

/* Serves, until the end. 0 or −errno. */
static int serve(struct holdings *held, const char *path, struct handover *before,
		 struct error *error)
{
	struct error warnings;
	int result = config_load(path, &held->config, error);

	if (result < 0)
		return result;
	log_set_level((enum log_level)log_level_parse(held->config->log_level));
	usage_raise_descriptors(held->config);
	if (config_warnings(held->config, &warnings))
		log_lines(LOG_LEVEL_WARNING, "configuration", warnings.text);
	return start(held, before, error);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv);
	struct holdings held = {.admin = -1, .access_log = -1, .lock = -1};
	struct handover before;
	struct error error;
	int result;

	log_open("floodwalld");
	handover_remember(argv);
	result = handover_receive(&before, &error);
	if (options.check || handover_is_rehearsal())
		return result < 0 ? refuse(&error) : check(options.path);
	if (result >= 0)
		result = serve(&held, options.path, result ? &before : NULL, &error);
	if (result < 0) {
		handover_return(&error);
		log_lines(LOG_LEVEL_ERROR, "can't start", error.text);
	}
	release(&held);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
