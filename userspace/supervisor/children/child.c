/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restarts wait 100 ms, then twice as long each time up to 10 s; who lived longer than that starts
 * afresh with 100 ms. Each wait is up to a quarter longer, by chance, so that what crashes several
 * hosts at once does not go on doing so in step.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "floodwall.h"
#include "supervisor/children/child.h"

#define BACKOFF_FIRST (100 * CLOCK_MS)
#define BACKOFF_LAST  (10 * CLOCK_SEC)
#define JITTER_SHARE  4

/* Orders: of each of its threads one, and some more. */
enum { HEARD_AT_ONCE = 2 * FW_WORKERS_MAX };

/* Up to @most, by chance. */
static uint64_t some_of(uint64_t most)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		return 0;
	return most * chance / UINT32_MAX; /* seconds in nanoseconds: 64 bits hold it */
}

static void schedule_retry(struct child *child, uint64_t now_ns)
{
	if (!child->backoff_ns || now_ns - child->started_ns > BACKOFF_LAST)
		child->backoff_ns = BACKOFF_FIRST;
	child->retry_ns = now_ns + child->backoff_ns + some_of(child->backoff_ns / JITTER_SHARE);
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
	int pair[2] = {-1, -1}, result;
	pid_t pid = -1;

	child->started_ns = now_ns;
	child->retry_ns = child->deadline_ns = child->asked_ns = 0;
	child->ready = child->killed = child->complains = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0)
		pid = fork();
	if (pid == 0) {
		close(pair[0]);
		reset_signals();
		_exit(run(context, pair[1]));
	}
	result = pid < 0 ? -errno : 0;
	if (pair[1] >= 0)
		close(pair[1]);
	if (result < 0) {
		if (pair[0] >= 0)
			close(pair[0]);
		schedule_retry(child, now_ns);
		log_error("%s: can't be started: %s", child->name, strerror(-result));
		return result;
	}
	child->pid = pid;
	child->control = pair[0];
	child->heard_ns = now_ns;
	log_info("%s: process %d started", child->name, (int)pid);
	return 0;
}

/* False: it has nothing to say, or never will again. */
static bool hear_one(struct child *child, uint64_t now_ns)
{
	struct order order;

	if (child->control < 0 ||
	    recv(child->control, &order, sizeof(order), MSG_DONTWAIT) != sizeof(order))
		return false;
	child->heard_ns = now_ns;
	if (order.word == ORDER_READY)
		child->ready = true;
	if (order.word == ORDER_ALIVE)
		child->asked_ns = 0;
	if (order.word == ORDER_LOOK)
		child->complains = true;
	return true;
}

void child_hear(struct child *child, uint64_t now_ns)
{
	for (int i = 0; i < HEARD_AT_ONCE && hear_one(child, now_ns); i++)
		;
}

bool child_await_ready(struct child *child, int most_ms)
{
	struct pollfd answer = {.fd = child->control, .events = POLLIN};
	uint64_t now_ns = clock_now_ns(), end_ns = now_ns + (uint64_t)most_ms * CLOCK_MS;

	while (!child->ready && now_ns < end_ns) {
		/* Its word, or the end of file. */
		if (poll(&answer, 1, (int)((end_ns - now_ns) / CLOCK_MS) + 1) > 0 &&
		    !hear_one(child, clock_now_ns()))
			return false;
		now_ns = clock_now_ns();
	}
	return child->ready;
}

/* If the pair is broken the child is about to be reaped; if it is full it has not been listening
 * for long. */
static bool say(const struct child *child, enum order_word word, uint32_t ms)
{
	const struct order order = {.word = word, .ms = ms};

	if (send(child->control, &order, sizeof(order), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	log_debug("%s: %s", child->name, strerror(errno));
	return false;
}

void child_ping(struct child *child, uint64_t now_ns)
{
	if (child->control >= 0 && child->ready && say(child, ORDER_PING, 0) && !child->asked_ns)
		child->asked_ns = now_ns;
}

void child_dismiss(struct child *child, enum order_word word, uint32_t drain_ms,
		   uint64_t deadline_ns)
{
	child->retry_ns = 0;
	if (!child->pid)
		return;
	if (!child->deadline_ns)
		say(child, word, drain_ms);
	if (!child->deadline_ns || deadline_ns < child->deadline_ns)
		child->deadline_ns = deadline_ns;
}

bool child_is_late(const struct child *child, uint64_t now_ns)
{
	return child->pid && child->deadline_ns && child->deadline_ns <= now_ns;
}

void child_kill(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGKILL);
	child->killed = true;
}

void child_end(struct child *child, uint64_t now_ns)
{
	int status = 0;

	if (!child->pid)
		return;
	child->deadline_ns = now_ns ? now_ns : 1; /* nobody wants it back */
	child_kill(child);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child_ended(child, status, now_ns);
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
	bool crashed = !dismissed || (WIFSIGNALED(status) && !child->killed);

	if (crashed)
		describe_end(child, status);
	else
		log_debug("%s: process %d left", child->name, (int)child->pid);
	if (!dismissed)
		schedule_retry(child, now_ns);
	if (child->control >= 0)
		close(child->control);
	child->control = -1;
	child->pid = 0;
	child->ready = false;
	child->deadline_ns = child->asked_ns = 0;
	return crashed;
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
