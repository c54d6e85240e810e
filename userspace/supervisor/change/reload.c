// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/change/reload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/duties/lists.h"
#include "supervisor/duties/usage.h"
#include "supervisor/roles.h"
#include "supervisor/state.h"

/* --- what is held ---------------------------------------------------------------------------- */

void reload_open_access_log(struct holdings *held)
{
	const char *path = held->config->access_log;

	held->access_log = -1;
	if (!path)
		return;
	if (!strcmp(path, "-")) {
		held->access_log = STDOUT_FILENO;
		return;
	}
	held->access_log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (held->access_log < 0)
		log_error("access log: %s: %s; none is written", path, strerror(errno));
}

/* What @mine holds and @others does not. */
static void release(struct holdings *mine, const struct holdings *others)
{
	if (mine->access_log > STDERR_FILENO)
		close(mine->access_log);
	if (mine->admin >= 0 && mine->admin != others->admin)
		close(mine->admin);
	sockets_close(&mine->sockets, &others->sockets);
	credentials_free(mine->credentials);
	config_free(mine->config);
}

/* --- before anything changes ----------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static int open_admin(struct holdings *next, const struct holdings *held, struct error *error)
{
	struct sockets none = {0};

	if (!next->config->admin)
		return 0;
	if (same_text(next->config->admin, held->config->admin)) {
		next->admin = held->admin;
		return 0;
	}
	next->admin = sockets_open_admin(next->config->admin, &none, error);
	return next->admin < 0 ? next->admin : 0;
}

static void warn(struct error *warnings, const char *text)
{
	size_t used = strlen(warnings->text);

	if (*text)
		snprintf(warnings->text + used, sizeof(warnings->text) - used, "%s%s",
			 used ? "\n" : "", text);
}

/* Everything that @next is to hold, apart from what it shares with @held. */
static int gather(struct holdings *next, const struct holdings *held, struct error *warnings,
		  struct error *error)
{
	struct error text;
	int result;

	*next = (struct holdings){.tickets = held->tickets,
				  .wall = held->wall,
				  .admin = -1,
				  .access_log = -1,
				  .lock = held->lock};
	warnings->text[0] = '\0';
	if (!wall_is_pinned(held->wall))
		return error_set(error, -ESTALE, "%s", duties_disowned_text);
	if ((result = config_load(held->config->path, &next->config, error)) < 0)
		return result;
	if (config_warnings(next->config, &text))
		warn(warnings, text.text);
	result = credentials_load(next->config, next->tickets, &next->credentials, &text, error);
	if (result < 0)
		return result;
	warn(warnings, text.text);
	if ((result = sockets_open(next->config, &held->sockets, &next->sockets, error)) < 0)
		return result;
	return open_admin(next, held, error);
}

/* --- the change ------------------------------------------------------------------------------ */

/* What concerns the processes to come. */
static void set_up(const struct config *config)
{
	log_set_level((enum log_level)log_level_parse(config->log_level));
	usage_raise_descriptors(config);
}

static int go_over(struct supervisor *supervisor, struct holdings *next, struct error *error)
{
	struct error again;
	int result = wall_apply(next->wall, next->config, false, error);

	if (result < 0)
		return result;
	set_up(next->config);
	reload_open_access_log(next);
	result = generations_replace(supervisor, next, error);
	if (result == 0)
		return 0;
	set_up(supervisor->held->config);
	if (wall_apply(next->wall, supervisor->held->config, false, &again) < 0)
		log_lines(LOG_LEVEL_ERROR, "reload: the filter keeps the new policy", again.text);
	return result;
}

/* The warden holds nothing that could be lost: it is ended, and started with what is new. */
static void replace_warden(struct supervisor *supervisor)
{
	child_end(&supervisor->warden, clock_now_ns());
	role_start_warden(supervisor, clock_now_ns());
}

static void refuse(struct supervisor *supervisor, const struct error *error)
{
	log_lines(LOG_LEVEL_ERROR, "reload", error->text);
	log_error("reload: refused; the running configuration is kept");
	atomic_fetch_add(&supervisor->roster->reloads_refused, 1);
}

void reload_note_taken(const struct supervisor *supervisor, struct reload_outcome *outcome)
{
	const struct generation *serving = &supervisor->proxies.serving;

	outcome->taken = true;
	outcome->generation = serving->number;
	outcome->pid = serving->child.pid;
}

void reload(struct supervisor *supervisor, struct reload_outcome *outcome)
{
	struct holdings *held = supervisor->held, next;

	*outcome = (struct reload_outcome){0};
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(clock_now_ns() / 1000));
	if (gather(&next, held, &outcome->warnings, &outcome->error) < 0 ||
	    go_over(supervisor, &next, &outcome->error) < 0) {
		release(&next, held);
		refuse(supervisor, &outcome->error);
	} else {
		log_lines(LOG_LEVEL_WARNING, "configuration", outcome->warnings.text);
		release(held, &next);
		*held = next;
		lists_load(held->wall, held->config, false);
		replace_warden(supervisor);
		atomic_fetch_add(&supervisor->roster->reloads, 1);
		reload_note_taken(supervisor, outcome);
		log_info("reload: done: generation %llu serves",
			 (unsigned long long)outcome->generation);
	}
	sd_notify(0, "READY=1");
}
