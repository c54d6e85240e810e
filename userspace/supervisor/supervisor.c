/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start and the loop: signals, questions, what has ended, what is due. What each of them means
 * is decided elsewhere: generations.c, reload.c, handover.c, duties.c.
 */
#include "supervisor/supervisor.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/change/handover.h"
#include "supervisor/change/reload.h"
#include "supervisor/control/control.h"
#include "supervisor/duties/attachment.h"
#include "supervisor/roles.h"
#include "supervisor/sockets/activation.h"
#include "supervisor/state.h"

#define WARDEN_GRACE_NS (2 * CLOCK_SEC)
#define STOP_GRACE_NS   (5 * CLOCK_SEC) /* systemd's patience: past the drain's end */
#define DEAF_NS         (5 * CLOCK_MS)  /* to the proxy, who may be under somebody else's control */

/* --- the warden ------------------------------------------------------------------------------ */

static void attend_warden(struct supervisor *supervisor, uint64_t now_ns)
{
	struct child *warden = &supervisor->warden;

	child_hear(warden, now_ns);
	if (child_is_late(warden, now_ns))
		child_kill(warden);
	if (warden->retry_ns && warden->retry_ns <= now_ns)
		role_start_warden(supervisor, now_ns);
}

/* --- what happens ---------------------------------------------------------------------------- */

static void reap(struct supervisor *supervisor, uint64_t now_ns)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!generations_reap(supervisor, pid, status, now_ns) &&
		    pid == supervisor->warden.pid &&
		    child_ended(&supervisor->warden, status, now_ns))
			atomic_fetch_add(&supervisor->roster->process[ROSTER_WARDEN].crashes, 1);
		duties_measure_soon(&supervisor->duties);
	}
}

static void stop(struct supervisor *supervisor, uint64_t now_ns)
{
	uint64_t drain_ms = supervisor->held->config->drain_ms;

	if (supervisor->stopping) {
		log_info("stopping at once");
		generations_kill(supervisor);
		child_kill(&supervisor->warden);
		return;
	}
	log_info("stopping; connections have %g s to finish", (double)drain_ms / 1000);
	sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		   (unsigned long long)(drain_ms * 1000 + STOP_GRACE_NS / 1000));
	supervisor->stopping = true;
	generations_dismiss(supervisor, now_ns);
	child_dismiss(&supervisor->warden, ORDER_STOP, 0, now_ns + WARDEN_GRACE_NS);
	/* Nobody will take new connections: they are refused rather than left waiting. */
	sockets_close(&supervisor->held->sockets, NULL);
}

/* The same configuration file, by whatever program is installed now. Returns if it refuses. */
static void become_new(struct supervisor *supervisor, struct reload_outcome *outcome)
{
	*outcome = (struct reload_outcome){.binary = true};
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(clock_now_ns() / 1000));
	handover_execute(supervisor, &outcome->error);
	log_lines(LOG_LEVEL_ERROR, "upgrade", outcome->error.text);
	log_error("upgrade: refused; the running program goes on");
	atomic_fetch_add(&supervisor->roster->reloads_refused, 1);
	sd_notify(0, "READY=1");
}

static void change(struct supervisor *supervisor, bool binary)
{
	struct reload_outcome outcome;

	if (binary)
		become_new(supervisor, &outcome);
	else
		reload(supervisor, &outcome);
	supervisor->control = control_keep(supervisor->control);
	control_answer(&supervisor->asker, &outcome);
}

static void take_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(supervisor, clock_now_ns());
	else if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
		stop(supervisor, clock_now_ns());
	else if (!supervisor->stopping)
		change(supervisor, info.ssi_signo == SIGUSR2);
}

static void take_question(struct supervisor *supervisor)
{
	static const struct reload_outcome no = {.error = {"floodwalld is stopping"}};
	enum control_question question = control_accept(supervisor->control, &supervisor->asker);

	if (question == CONTROL_NONE)
		return;
	if (supervisor->stopping)
		control_answer(&supervisor->asker, &no);
	else
		change(supervisor, question == CONTROL_ASKS_BINARY);
}

/* --- the beginning --------------------------------------------------------------------------- */

static int watch_signals(struct error *error)
{
	static const int watched[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR2};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		return error_set(error, -errno, "signals: %s", strerror(errno));
	return fd;
}

static void adopt_counters(struct roster *roster, const struct handover *before)
{
	for (int i = 0; i < ROSTER_COUNT; i++) {
		atomic_store(&roster->process[i].starts, before->starts[i]);
		atomic_store(&roster->process[i].crashes, before->crashes[i]);
	}
	atomic_store(&roster->reloads, before->reloads);
	atomic_store(&roster->reloads_refused, before->reloads_refused);
	atomic_store(&roster->drains_cut, before->drains_cut);
}

/* The children of the supervisor before this one, which are this one's now. */
static void adopt(struct supervisor *supervisor, struct handover *before)
{
	struct generations *proxies = &before->proxies;

	adopt_counters(supervisor->roster, before);
	supervisor->proxies.newest = proxies->newest;
	for (size_t i = 0; i < proxies->draining_count; i++)
		if (!generations_adopt(supervisor, &proxies->draining[i], false))
			child_end(&proxies->draining[i].child, clock_now_ns());
	if (proxies->serving.rows.count)
		generations_adopt(supervisor, &proxies->serving, true);
	supervisor->warden = before->warden;
	supervisor->control = before->control;
	supervisor->asker = before->asker;
}

/* Serves with what is held: by a generation of its own, or, if the new program has given it back,
 * by the one that served all the while. After this there is no way back. */
static int take_over(struct supervisor *supervisor, const struct handover *before,
		     struct error *error)
{
	struct holdings *held = supervisor->held;
	struct reload_outcome outcome = {.binary = before != NULL};
	bool refused = before && before->refused;
	int result = refused ? 0 : generations_replace(supervisor, held, error);

	if (result < 0)
		return result;
	handover_forget();
	activation_close_unused(&held->received, &held->sockets);
	if (refused) {
		error_set(&outcome.error, 0, "%s", before->refused);
		atomic_fetch_add(&supervisor->roster->reloads_refused, 1);
	} else if (before) {
		reload_note_taken(supervisor, &outcome);
		atomic_fetch_add(&supervisor->roster->reloads, 1);
	}
	child_end(&supervisor->warden, clock_now_ns());
	role_start_warden(supervisor, clock_now_ns());
	control_answer(&supervisor->asker, &outcome);
	return 0;
}

static int begin(struct supervisor *supervisor, struct handover *before, struct error *error)
{
	struct holdings *held = supervisor->held;
	int result;

	supervisor->signals = result = watch_signals(error);
	if (result < 0)
		return result;
	duties_begin(&supervisor->duties);
	if (before)
		adopt(supervisor, before);
	else
		generations_clear_board(supervisor, clock_now_ns());
	atomic_store(&supervisor->roster->process[ROSTER_SUPERVISOR].starts, 1);
	reload_open_access_log(held);
	if ((result = take_over(supervisor, before, error)) < 0)
		return result;
	supervisor->control = control_keep(supervisor->control);
	attachment_report(held->wall, held->config);
	log_info("running: %zu listeners, %u threads", held->config->listener_count,
		 held->config->threads);
	sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
	return 0;
}

/* --- the loop -------------------------------------------------------------------------------- */

static bool is_deaf(const struct supervisor *supervisor, uint64_t now_ns)
{
	return now_ns - supervisor->heard_ns < DEAF_NS;
}

static int wait_ms(const struct supervisor *supervisor, uint64_t now_ns)
{
	uint64_t wait = generations_wait(supervisor, now_ns, duties_wait(supervisor));

	wait = child_wait(&supervisor->warden, now_ns, wait);
	if (is_deaf(supervisor, now_ns) && wait > DEAF_NS)
		wait = DEAF_NS;
	return (int)((wait + CLOCK_MS - 1) / CLOCK_MS);
}

static void run(struct supervisor *supervisor)
{
	struct pollfd ready[] = {{.fd = supervisor->signals, .events = POLLIN},
				 {.events = POLLIN},
				 {.events = POLLIN}};
	uint64_t now_ns;

	while (!supervisor->stopping || !generations_are_gone(supervisor) ||
	       supervisor->warden.pid) {
		now_ns = clock_now_ns();
		generations_attend(supervisor, now_ns);
		attend_warden(supervisor, now_ns);
		duties_attend(supervisor, now_ns);
		ready[1].fd = supervisor->control; /* it may be another one after a reload */
		/* What the proxy says is heard in generations_attend(). It says little; if it says
		 * more, or is at its end, that wakes nobody for a while. */
		ready[2].fd = is_deaf(supervisor, now_ns)
				      ? -1
				      : supervisor->proxies.serving.child.control;
		if (poll(ready, 3, wait_ms(supervisor, now_ns)) <= 0)
			continue;
		if (ready[0].revents)
			take_signal(supervisor);
		if (ready[1].revents)
			take_question(supervisor);
		if (ready[2].revents)
			supervisor->heard_ns = clock_now_ns();
	}
	log_info("stopped");
}

int supervisor_run(struct holdings *held, struct handover *before, struct error *error)
{
	struct supervisor supervisor = {
		.held = held,
		.proxies.serving.child = CHILD_INIT("proxy"),
		.warden = CHILD_INIT("warden"),
		.control = -1,
		.asker = -1,
	};
	int result;

	supervisor.roster = mmap(NULL, sizeof(*supervisor.roster), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (supervisor.roster == MAP_FAILED)
		return error_set(error, -errno, "shared memory: %s", strerror(errno));
	result = begin(&supervisor, before, error);
	if (result == 0) {
		run(&supervisor);
		control_close(supervisor.control);
	}
	munmap(supervisor.roster, sizeof(*supervisor.roster));
	return result;
}
