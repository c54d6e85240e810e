/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restarts wait 100 ms, then twice as long each time up to 10 s; who lived longer than that starts
 * afresh with 100 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/child.h"

#define BACKOFF_FIRST (100 * CLOCK_MS)
#define BACKOFF_LAST  (10 * CLOCK_SEC)

static void schedule_retry(struct child *child, uint64_t now_ns)
{
	if (!child->backoff_ns || now_ns - child->started_ns > BACKOFF_LAST)
		child->backoff_ns = BACKOFF_FIRST;
	child->retry_ns = now_ns + child->backoff_ns;
	child->backoff_ns *= 2;
	if (child->backoff_ns > BACKOFF_LAST)
		child->backoff_ns = BACKOFF_LAST;
}

/* As a program finds them: the supervisor blocks what it reads by signalfd. A terminal's Ctrl-C and
 * SIGHUP go to every process; what they mean is the supervisor's to say. */
static void reset_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int child_start(struct child *child, int (*run)(void *context, int control), void *context,
		uint64_t now_ns)
{
	int control[2] = {-1, -1}, result;
	pid_t pid = -1;

	child->started_ns = now_ns;
	child->retry_ns = child->deadline_ns = 0;
	if (pipe2(control, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		close(control[1]);
		reset_signals();
		_exit(run(context, control[0]));
	}
	result = pid < 0 ? -errno : 0;
	if (control[0] >= 0)
		close(control[0]);
	if (result < 0) {
		if (control[1] >= 0)
			close(control[1]);
		schedule_retry(child, now_ns);
		log_error("%s: can't be started: %s", child->name, strerror(-result));
		return result;
	}
	child->pid = pid;
	child->control = control[1];
	log_info("%s: process %d started", child->name, (int)pid);
	return 0;
}

void child_dismiss(struct child *child, uint64_t deadline_ns)
{
	child->retry_ns = 0;
	if (!child->pid)
		return;
	child->deadline_ns = deadline_ns;
	if (child->control < 0)
		return;
	/* If the pipe is broken the child is about to be reaped anyway. */
	if (write(child->control, "d", 1) < 0)
		log_debug("%s: %s", child->name, strerror(errno));
	close(child->control);
	child->control = -1;
}

void child_kill(struct child *child)
{
	if (child->pid)
		kill(child->pid, SIGKILL);
}

static void describe_end(const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		log_error("%s: process %d was killed by signal %d (%s)", child->name,
			  (int)child->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("%s: process %d ended by itself, status %d", child->name, (int)child->pid,
			  WEXITSTATUS(status));
}

bool child_ended(struct child *child, int status, uint64_t now_ns)
{
	bool dismissed = child->deadline_ns != 0;

	if (!dismissed) {
		describe_end(child, status);
		schedule_retry(child, now_ns);
	} else {
		log_debug("%s: process %d left", child->name, (int)child->pid);
	}
	if (child->control >= 0)
		close(child->control);
	child->control = -1;
	child->pid = 0;
	child->deadline_ns = 0;
	return !dismissed;
}

uint64_t child_wait(const struct child *child, uint64_t now_ns, uint64_t most)
{
	uint64_t next = child->pid ? child->deadline_ns : child->retry_ns;

	if (!next)
		return most;
	if (next <= now_ns)
		return 0;
	return next - now_ns < most ? next - now_ns : most;
}
