// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/change/handover.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/change/handover_state.h"
#include "supervisor/state.h"

#define STATE_VARIABLE     "FLOODWALL_HANDOVER"  /* descriptor of the state */
#define REHEARSAL_VARIABLE "FLOODWALL_REHEARSAL" /* set: say only whether it could be */
#define REFUSED_VARIABLE   "FLOODWALL_REFUSED"   /* why it comes back */
#define REHEARSAL_MS       20000
#define REHEARSAL_YES      "floodwalld can take over\n" /* or it is another program altogether */
#define STATE_SIZE_MAX     (1 << 20)

static struct handover_program own = {.former = -1};
static int own_state = -1; /* what this process was handed; −1: nothing */

void handover_remember(char **argv)
{
	static char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	own.path = path;
	own.arguments = argv;
	/* Executed by its descriptor it would be called after that. */
	prctl(PR_SET_NAME, "floodwalld");
}

bool handover_is_rehearsal(void)
{
	return getenv(REHEARSAL_VARIABLE) != NULL;
}

void handover_say_yes(void)
{
	fputs(REHEARSAL_YES, stdout);
}

/* --- the state as a file --------------------------------------------------------------------- */

/* The descriptor of a file in memory with @state, or −errno. */
static int write_state(const json_t *state, struct error *error)
{
	char *text = state ? json_dumps(state, JSON_INDENT(1)) : NULL;
	size_t length = text ? strlen(text) : 0;
	int fd = text ? memfd_create("floodwall-handover", MFD_CLOEXEC) : -1;
	bool written = fd >= 0 && write(fd, text, length) == (ssize_t)length;

	free(text);
	if (written)
		return fd;
	if (fd >= 0)
		close(fd);
	return error_set(error, -ENOMEM, "upgrade: can't write down what is handed over");
}

/* NULL: there is none, or it is not to be understood. */
static json_t *read_state(int fd)
{
	char *text = calloc(1, STATE_SIZE_MAX);
	ssize_t length = text ? pread(fd, text, STATE_SIZE_MAX - 1, 0) : -1;
	json_t *state = length > 0 ? json_loadb(text, (size_t)length, 0, NULL) : NULL;

	free(text);
	return state;
}

/* --- the old program's part ------------------------------------------------------------------ */

/* In a child: the new program, with nothing but the state. Its words go to @output. */
static void rehearse(int state, int output)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", state);
	fcntl(state, F_SETFD, 0);
	setenv(STATE_VARIABLE, number, 1);
	setenv(REHEARSAL_VARIABLE, "1", 1);
	unsetenv("NOTIFY_SOCKET");
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execv(own.path, own.arguments);
	dprintf(STDERR_FILENO, "%s: %s\n", own.path, strerror(errno));
	_exit(EXIT_FAILURE);
}

/* Reads to the end of file, or for REHEARSAL_MS. False: it took too long. */
static bool listen_to(int fd, char *text, size_t size)
{
	uint64_t end_ns = clock_now_ns() + REHEARSAL_MS * CLOCK_MS, now_ns;
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t used = 0;
	char rest[512];

	while ((now_ns = clock_now_ns()) < end_ns) {
		bool full = used + 1 >= size;
		ssize_t count;

		if (poll(&ready, 1, (int)((end_ns - now_ns) / CLOCK_MS) + 1) <= 0)
			continue;
		count = read(fd, full ? rest : text + used, full ? sizeof(rest) : size - 1 - used);
		if (count <= 0) {
			text[used] = '\0';
			return true;
		}
		used += full ? 0 : (size_t)count;
	}
	text[used] = '\0';
	return false;
}

/* Has the new program say whether it could take over. */
static int ask(int state, struct error *error)
{
	int output[2], status = 0;
	bool in_time;
	pid_t pid;

	if (pipe2(output, O_CLOEXEC) < 0)
		return error_set(error, -errno, "upgrade: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		rehearse(state, output[1]);
	close(output[1]);
	if (pid < 0) {
		close(output[0]);
		return error_set(error, -errno, "upgrade: %s", strerror(errno));
	}
	in_time = listen_to(output[0], error->text, sizeof(error->text));
	close(output[0]);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		return error_set(error, -ETIMEDOUT, "upgrade: %s: no answer for %d s", own.path,
				 REHEARSAL_MS / 1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS &&
	    strstr(error->text, REHEARSAL_YES))
		return 0;
	if (WIFSIGNALED(status))
		return error_set(error, -ECHILD, "upgrade: %s: killed by signal %d (%s)", own.path,
				 WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (!*error->text)
		error_set(error, -ECHILD, "upgrade: %s: refuses, and does not say why", own.path);
	return -ECHILD;
}

/* Executes the program that is installed, or, @refused, the one before this, with the state;
 * returns −errno if that can't be. */
static int execute(const json_t *state, int fd, const char *refused)
{
	char number[16];
	int code;

	snprintf(number, sizeof(number), "%d", fd);
	setenv(STATE_VARIABLE, number, 1);
	if (refused)
		setenv(REFUSED_VARIABLE, refused, 1);
	handover_state_keep_open(state, true);
	fcntl(fd, F_SETFD, 0);
	if (refused)
		fexecve(own.former, own.arguments, environ);
	else
		execv(own.path, own.arguments);
	code = -errno;
	handover_state_keep_open(state, false);
	unsetenv(STATE_VARIABLE);
	unsetenv(REFUSED_VARIABLE);
	return code;
}

int handover_execute(struct supervisor *supervisor, struct error *error)
{
	int former = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd, result;
	struct handover_program program = own;
	json_t *state;

	if (former < 0)
		return error_set(error, -errno, "upgrade: /proc/self/exe: %s", strerror(errno));
	program.former = former;
	state = handover_state_write(supervisor, &program);
	fd = result = write_state(state, error);
	if (fd >= 0)
		result = ask(fd, error);
	if (result == 0) {
		log_info("upgrade: %s takes over", own.path);
		result = execute(state, fd, NULL);
		error_set(error, result, "upgrade: %s: %s", own.path, strerror(-result));
	}
	if (fd >= 0)
		close(fd);
	close(former);
	json_decref(state);
	return result;
}

/* --- the new program's part ------------------------------------------------------------------ */

int handover_receive(struct handover *handover, struct error *error)
{
	const char *number = getenv(STATE_VARIABLE);
	json_t *state;
	int result;

	*handover = (struct handover){.lock = -1,
				      .tickets = -1,
				      .control = -1,
				      .asker = -1,
				      .warden = CHILD_INIT("warden"),
				      .refused = getenv(REFUSED_VARIABLE)};
	if (!number)
		return 0;
	own_state = atoi(number);
	state = read_state(own_state);
	if (!state)
		return error_set(error, -EINVAL, "upgrade: what is handed over is not to be read");
	result = handover_state_read(state, handover, &own, error);
	json_decref(state);
	return result < 0 ? result : 1;
}

void handover_return(const struct error *why)
{
	json_t *state;
	int code;

	if (own.former < 0 || getenv(REFUSED_VARIABLE))
		return;
	log_lines(LOG_LEVEL_ERROR, "upgrade", why->text);
	log_error("upgrade: refused; the old program goes on");
	state = read_state(own_state);
	code = execute(state, own_state, why->text);
	json_decref(state);
	log_error("upgrade: the old program can't be executed, either: %s", strerror(-code));
}

void handover_forget(void)
{
	if (own_state >= 0)
		close(own_state);
	if (own.former >= 0)
		close(own.former);
	own_state = own.former = -1;
	unsetenv(STATE_VARIABLE);
	unsetenv(REFUSED_VARIABLE);
}
