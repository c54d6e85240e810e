/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One loop over signals and three children: the proxy, the generation before it while that drains,
 * and the warden.
 *
 * A reload is all or nothing: file, certificates, sockets and policy are tried in that order, and
 * only then are the children changed. Each generation of the proxy writes its own half of the
 * board's rows; what a dead one left in its gauges is cleared, for its connections died with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "proxy/proxy.h"
#include "supervisor/attachment.h"
#include "supervisor/child.h"
#include "supervisor/lists.h"
#include "supervisor/pressure.h"
#include "supervisor/sandbox.h"
#include "supervisor/supervisor.h"
#include "supervisor/usage.h"
#include "warden/warden.h"

#define DRAIN_MS     10000
#define DRAIN_NS     (DRAIN_MS * CLOCK_MS)
#define GRACE_NS     (2 * CLOCK_SEC) /* to leave after draining, before it is killed */
#define MEASURE_NS   (5 * CLOCK_SEC)
#define TIDY_NS      (60 * CLOCK_SEC)
#define WORKERS_HALF (FW_WORKERS_MAX / 2)

struct supervisor {
	struct holdings *held;
	int access_log, signals;
	struct roster *roster;
	struct child proxy, draining, warden;
	uint32_t proxy_base, draining_base; /* first of their rows of the board */
	uint64_t measured_ns, tidied_ns, followed_ns;
	struct pressure_said said;
	bool stopping;
};

/* --- in the children ------------------------------------------------------------------------- */

static void forget_others(struct supervisor *supervisor)
{
	const struct child *others[] = {&supervisor->proxy, &supervisor->draining,
					&supervisor->warden};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i]->control >= 0)
			close(others[i]->control);
	close(supervisor->held->lock);
	close(supervisor->signals);
}

/* Every socket with its worker and listener; NULL: no memory. */
static struct proxy_socket *assign_sockets(struct supervisor *supervisor)
{
	const struct config *config = supervisor->held->config;
	struct sockets *sockets = &supervisor->held->sockets;
	struct proxy_socket *list = calloc(sockets->count + 1, sizeof(*list));
	size_t filled = 0;

	for (size_t i = 0; list && i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];
		int id = wall_service_find(supervisor->held->wall, listener->name, NULL);

		for (size_t j = 0; id >= 0 && j < sockets->count; j++) {
			const struct listening *socket = &sockets->list[j];
			bool ours = false;

			for (size_t k = 0; k < listener->binding_count; k++)
				ours |= !memcmp(&listener->bindings[k], &socket->binding,
						sizeof(socket->binding));
			if (ours)
				list[filled++] = (struct proxy_socket){
					.fd = socket->fd,
					.worker = socket->nth % config->threads,
					.listener = listener,
					.service = (uint32_t)id,
				};
		}
	}
	return list;
}

static int fail(const struct error *error)
{
	log_lines(LOG_LEVEL_ERROR, "can't start", error->text);
	return EXIT_FAILURE;
}

static int run_proxy(void *context, int control)
{
	struct supervisor *supervisor = context;
	struct sandbox sandbox = {.user = supervisor->held->config->user, .uses_maps = false};
	struct error error = {"out of memory"};
	struct proxy_options options = {
		.config = supervisor->held->config,
		.credentials = supervisor->held->credentials,
		.wall = supervisor->held->wall,
		.sockets = assign_sockets(supervisor),
		.socket_count = supervisor->held->sockets.count,
		.worker_base = supervisor->proxy_base,
		.access_log = supervisor->access_log,
		.control = control,
		.drain_ms = DRAIN_MS,
	};

	log_open("floodwalld[proxy]");
	forget_others(supervisor);
	if (supervisor->held->admin >= 0)
		close(supervisor->held->admin);
	if (!options.sockets || sandbox_enter(&sandbox, &error) < 0 ||
	    proxy_run(&options, &error) < 0)
		return fail(&error);
	return EXIT_SUCCESS;
}

static int run_warden(void *context, int control)
{
	struct supervisor *supervisor = context;
	struct sandbox sandbox = {.user = supervisor->held->config->user, .uses_maps = true};
	struct error error = {""};
	struct warden_options options = {
		.wall = supervisor->held->wall,
		.roster = supervisor->roster,
		.listener = supervisor->held->admin,
		.control = control,
	};

	log_open("floodwalld[warden]");
	forget_others(supervisor);
	for (size_t i = 0; i < supervisor->held->sockets.count; i++)
		close(supervisor->held->sockets.list[i].fd);
	/* What it does not have nobody can take from it. */
	credentials_free(supervisor->held->credentials);
	tickets_drop(supervisor->held->tickets);
	if (sandbox_enter(&sandbox, &error) < 0 || warden_run(&options, &error) < 0)
		return fail(&error);
	return EXIT_SUCCESS;
}

/* --- children, seen from outside ------------------------------------------------------------- */

/* What a generation that is gone can't take back itself. */
static void clear_gauges(struct supervisor *supervisor, uint32_t base)
{
	volatile uint64_t *board = wall_board(supervisor->held->wall);

	for (uint32_t worker = base; worker < base + WORKERS_HALF; worker++)
		for (uint32_t service = 0; service < FW_SERVICES_MAX; service++)
			for (uint32_t metric = 0; metric < METRIC_COUNT; metric++)
				if (metric_rows[metric].kind == METRIC_GAUGE ||
				    metric_rows[metric].kind == METRIC_PEAK)
					board[fw_board_metric(worker, service, metric)] = 0;
}

static void start_proxy(struct supervisor *supervisor, uint64_t now)
{
	if (!supervisor->held->config->listener_count)
		return;
	child_start(&supervisor->proxy, run_proxy, supervisor, now);
	atomic_fetch_add(&supervisor->roster->process[ROSTER_PROXY].starts, 1);
	supervisor->measured_ns = 0;
}

static void start_warden(struct supervisor *supervisor, uint64_t now)
{
	child_start(&supervisor->warden, run_warden, supervisor, now);
	atomic_fetch_add(&supervisor->roster->process[ROSTER_WARDEN].starts, 1);
	supervisor->measured_ns = 0;
}

static void reap(struct supervisor *supervisor, uint64_t now)
{
	struct roster_entry *process = supervisor->roster->process;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == supervisor->proxy.pid) {
			clear_gauges(supervisor, supervisor->proxy_base);
			if (child_ended(&supervisor->proxy, status, now))
				atomic_fetch_add(&process[ROSTER_PROXY].crashes, 1);
		} else if (pid == supervisor->draining.pid) {
			clear_gauges(supervisor, supervisor->draining_base);
			child_ended(&supervisor->draining, status, now);
		} else if (pid == supervisor->warden.pid) {
			if (child_ended(&supervisor->warden, status, now))
				atomic_fetch_add(&process[ROSTER_WARDEN].crashes, 1);
		}
		supervisor->measured_ns = 0;
	}
}

/* Kills a child and waits until it is gone. */
static void end_child(struct child *child, uint64_t now)
{
	int status = 0;

	if (!child->pid)
		return;
	child_dismiss(child, now);
	child_kill(child);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child_ended(child, status, now);
}

/* The new generation takes the half of the board that the running one does not have. Whoever still
 * drains there, two reloads back, is ended. */
static void replace_proxy(struct supervisor *supervisor, uint64_t now)
{
	if (supervisor->draining.pid)
		log_warning("proxy: the generation before the last is ended with its connections");
	end_child(&supervisor->draining, now);
	clear_gauges(supervisor, WORKERS_HALF - supervisor->proxy_base);
	supervisor->draining = supervisor->proxy;
	supervisor->draining.name = "proxy (draining)";
	supervisor->draining_base = supervisor->proxy_base;
	supervisor->proxy = (struct child)CHILD_INIT("proxy");
	supervisor->proxy_base = WORKERS_HALF - supervisor->draining_base;
	start_proxy(supervisor, now);
	child_dismiss(&supervisor->draining, now + DRAIN_NS + GRACE_NS);
}

static void replace_warden(struct supervisor *supervisor, uint64_t now)
{
	end_child(&supervisor->warden, now); /* it holds nothing that could be lost */
	start_warden(supervisor, now);
}

/* --- policy and files ------------------------------------------------------------------------ */

void supervisor_report_tuned(struct wall *wall, const struct config *config)
{
	char live[32], file[32];

	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *service = &config->services[i];
		int id = wall_service_find(wall, service->name, NULL);

		for (int s = 0; id >= 0 && s < FW_SETTING_COUNT; s++) {
			const struct setting_row *row = &setting_rows[s];
			uint64_t value = wall_setting(wall, (uint32_t)id, s);

			if (row->scope == SCOPE_HOST || value == service->settings[s] ||
			    (row->scope == SCOPE_LISTENER && service->kind != FW_SERVICE_LISTENER))
				continue;
			log_info("%s.%s is %s live and %s in the file: kept; a reload takes the "
				 "file's",
				 service->name, row->name,
				 setting_format(row, value, live, sizeof(live)),
				 setting_format(row, service->settings[s], file, sizeof(file)));
		}
	}
}

static void open_access_log(struct supervisor *supervisor)
{
	const char *path = supervisor->held->config->access_log;

	if (supervisor->access_log > STDERR_FILENO)
		close(supervisor->access_log);
	supervisor->access_log = -1;
	if (path && !strcmp(path, "-"))
		supervisor->access_log = STDOUT_FILENO;
	else if (path)
		supervisor->access_log =
			open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (path && supervisor->access_log < 0)
		log_error("access log: %s: %s; none is written", path, strerror(errno));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Everything that may fail. On success *@sockets and *@admin are what @config needs; on failure
 * nothing has changed. */
static int prepare(struct supervisor *supervisor, const struct config *config,
		   struct sockets *sockets, int *admin, struct error *error)
{
	int result = sockets_open(config, &supervisor->held->sockets, sockets, error);

	if (result < 0)
		return result;
	*admin = -1;
	if (config->admin && same_text(config->admin, supervisor->held->config->admin))
		*admin = supervisor->held->admin;
	else if (config->admin)
		result = *admin = sockets_open_admin(config->admin, error);
	if (result >= 0)
		result = wall_apply(supervisor->held->wall, config, false, error);
	if (result < 0) {
		if (*admin >= 0 && *admin != supervisor->held->admin)
			close(*admin);
		sockets_close(sockets, &supervisor->held->sockets);
		return result;
	}
	return 0;
}

static void reload(struct supervisor *supervisor, uint64_t now)
{
	struct config *config = NULL;
	struct credentials *credentials = NULL;
	struct sockets sockets = {0};
	struct error error, warnings, expiring;
	int admin;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(now / 1000));
	if (config_load(supervisor->held->config->path, &config, &error) < 0 ||
	    credentials_load(config, supervisor->held->tickets, &credentials, &expiring, &error) <
		    0 ||
	    prepare(supervisor, config, &sockets, &admin, &error) < 0) {
		log_lines(LOG_LEVEL_ERROR, "reload", error.text);
		log_error("reload: refused; the running configuration is kept");
		atomic_fetch_add(&supervisor->roster->reloads_refused, 1);
		credentials_free(credentials);
		config_free(config);
		sd_notify(0, "READY=1");
		return;
	}
	if (config_warnings(config, &warnings))
		log_lines(LOG_LEVEL_WARNING, "configuration", warnings.text);
	lists_load(supervisor->held->wall, config, false);
	if (*expiring.text)
		log_lines(LOG_LEVEL_WARNING, "configuration", expiring.text);
	sockets_close(&supervisor->held->sockets, &sockets);
	supervisor->held->sockets = sockets;
	if (supervisor->held->admin >= 0 && supervisor->held->admin != admin)
		close(supervisor->held->admin);
	supervisor->held->admin = admin;
	credentials_free(supervisor->held->credentials);
	supervisor->held->credentials = credentials;
	config_free(supervisor->held->config);
	supervisor->held->config = config;
	log_set_level((enum log_level)log_level_parse(config->log_level));
	usage_raise_descriptors(config);
	open_access_log(supervisor);
	replace_proxy(supervisor, now);
	replace_warden(supervisor, now);
	atomic_fetch_add(&supervisor->roster->reloads, 1);
	log_info("reload: done");
	sd_notify(0, "READY=1");
}

/* --- the loop -------------------------------------------------------------------------------- */

static void stop(struct supervisor *supervisor, uint64_t now)
{
	if (supervisor->stopping) {
		log_info("stopping at once");
		child_kill(&supervisor->proxy);
		child_kill(&supervisor->draining);
		child_kill(&supervisor->warden);
		return;
	}
	log_info("stopping; connections have %d s to finish", DRAIN_MS / 1000);
	sd_notify(0, "STOPPING=1");
	supervisor->stopping = true;
	child_dismiss(&supervisor->proxy, now + DRAIN_NS + GRACE_NS);
	child_dismiss(&supervisor->draining, now + DRAIN_NS + GRACE_NS);
	child_dismiss(&supervisor->warden, now + GRACE_NS);
	/* Nobody will take new connections: they are refused rather than left waiting. */
	sockets_close(&supervisor->held->sockets, NULL);
}

static void take_signal(struct supervisor *supervisor, uint64_t now)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(supervisor, now);
	else if (info.ssi_signo != SIGHUP)
		stop(supervisor, now);
	else if (!supervisor->stopping)
		reload(supervisor, now);
}

/* Hosts that share a secret agree by the wall clock, which may be set. */
static void keep_time(struct wall *wall)
{
	struct error error;
	int result = wall_secret_keep_time(wall, &error);

	if (result < 0)
		log_warning("secret of SYN cookies: %s", error.text);
	else if (result)
		log_info("the clock was set: SYN cookies go by it");
}

static bool is_due(uint64_t time_ns, uint64_t now)
{
	return time_ns && time_ns <= now;
}

/* Restarts, deadlines, figures. */
static void attend(struct supervisor *supervisor, uint64_t now)
{
	struct child *children[] = {&supervisor->proxy, &supervisor->draining, &supervisor->warden};
	struct roster_entry *process = supervisor->roster->process;

	for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++)
		if (children[i]->pid && is_due(children[i]->deadline_ns, now))
			child_kill(children[i]);
	if (is_due(supervisor->proxy.retry_ns, now))
		start_proxy(supervisor, now);
	if (is_due(supervisor->warden.retry_ns, now))
		start_warden(supervisor, now);
	if (now - supervisor->followed_ns >= PRESSURE_FOLLOW_NS) {
		supervisor->followed_ns = now;
		pressure_follow(supervisor->held->wall, &supervisor->said, now);
	}
	if (now - supervisor->tidied_ns >= TIDY_NS) {
		supervisor->tidied_ns = now;
		lists_tidy(supervisor->held->wall);
	}
	if (!tickets_rotate(supervisor->held->tickets, now))
		log_error("session tickets: the kernel gives no random numbers; the old keys stay");
	if (now - supervisor->measured_ns < MEASURE_NS)
		return;
	supervisor->measured_ns = now;
	attachment_publish(supervisor->held->wall, supervisor->roster);
	lists_publish(supervisor->held->wall, supervisor->roster);
	keep_time(supervisor->held->wall);
	usage_measure(&process[ROSTER_SUPERVISOR], getpid());
	usage_measure(&process[ROSTER_PROXY], supervisor->proxy.pid);
	usage_measure(&process[ROSTER_WARDEN], supervisor->warden.pid);
}

static int wait_ms(const struct supervisor *supervisor, uint64_t now)
{
	uint64_t wait = PRESSURE_FOLLOW_NS;

	wait = child_wait(&supervisor->proxy, now, wait);
	wait = child_wait(&supervisor->draining, now, wait);
	wait = child_wait(&supervisor->warden, now, wait);
	return (int)((wait + CLOCK_MS - 1) / CLOCK_MS);
}

static int watch_signals(struct error *error)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		return error_set(error, -errno, "signals: %s", strerror(errno));
	return fd;
}

int supervisor_run(struct holdings *held, struct error *error)
{
	struct supervisor supervisor = {
		.held = held,
		.access_log = -1,
		.proxy = CHILD_INIT("proxy"),
		.draining = CHILD_INIT("proxy (draining)"),
		.warden = CHILD_INIT("warden"),
	};
	struct pollfd ready = {.events = POLLIN};
	uint64_t now = clock_now_ns();

	supervisor.roster = mmap(NULL, sizeof(*supervisor.roster), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (supervisor.roster == MAP_FAILED)
		return error_set(error, -errno, "shared memory: %s", strerror(errno));
	supervisor.signals = watch_signals(error);
	if (supervisor.signals < 0)
		return supervisor.signals;
	atomic_store(&supervisor.roster->process[ROSTER_SUPERVISOR].starts, 1);
	clear_gauges(&supervisor, 0);
	clear_gauges(&supervisor, WORKERS_HALF);
	open_access_log(&supervisor);
	start_proxy(&supervisor, now);
	start_warden(&supervisor, now);
	attachment_report(held->wall, held->config);
	log_info("running: %zu listeners, %u threads", held->config->listener_count,
		 held->config->threads);
	sd_notify(0, "READY=1");

	ready.fd = supervisor.signals;
	while (!supervisor.stopping || supervisor.proxy.pid || supervisor.draining.pid ||
	       supervisor.warden.pid) {
		now = clock_now_ns();
		attend(&supervisor, now);
		if (poll(&ready, 1, wait_ms(&supervisor, now)) > 0)
			take_signal(&supervisor, clock_now_ns());
	}
	log_info("stopped");
	close(supervisor.signals);
	munmap(supervisor.roster, sizeof(*supervisor.roster));
	return 0;
}
