/* SPDX-License-Identifier: BSD-2-Clause */
/* reload: has floodwalld take its configuration over, or the program that is installed, and says
 * how that went. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "cli.h"
#include "contract/control.h"

#define ANSWER_SIZE_MAX 65536

enum { TIMEOUT_DEFAULT = 120, TIMEOUT_MAX = 3600 }; /* seconds */

/* A connection to floodwalld, or −errno. */
static int connect_daemon(long timeout)
{
	const struct timeval patience = {.tv_sec = timeout};
	struct sockaddr_un address;
	socklen_t length = control_address(&address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), code;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, length) < 0) {
		code = -errno;
		close(fd);
		return code;
	}
	return fd;
}

/* Asks, and reads to the end. NULL: no answer, and errno says why. */
static json_t *ask(int fd, const char *question)
{
	static char answer[ANSWER_SIZE_MAX];
	size_t used = 0;
	ssize_t count;

	if (send(fd, question, strlen(question), MSG_NOSIGNAL) < 0)
		return NULL;
	while ((count = recv(fd, answer + used, sizeof(answer) - used, 0)) > 0)
		used += (size_t)count;
	if (count < 0)
		return NULL;
	errno = ECONNRESET;
	return json_loadb(answer, used, 0, NULL);
}

static void print_lines(FILE *out, const char *prefix, const json_t *lines)
{
	const json_t *line;
	size_t index;

	json_array_foreach(lines, index, line)
		fprintf(out, "%s%s\n", prefix, json_string_value(line));
}

static void print(const json_t *answer)
{
	json_int_t generation = json_integer_value(json_object_get(answer, "generation"));
	bool binary = json_is_true(json_object_get(answer, "binary"));

	print_lines(stderr, "", json_object_get(answer, "complaints"));
	print_lines(stderr, "warning: ", json_object_get(answer, "warnings"));
	if (!json_is_true(json_object_get(answer, "taken")))
		fprintf(stderr, "floodwall reload: refused: the running %s goes on\n",
			binary ? "program" : "configuration");
	else if (generation)
		printf("%s: generation %" JSON_INTEGER_FORMAT
		       " serves; those before it finish what they have begun\n",
		       binary ? "the installed program runs" : "the configuration was taken over",
		       generation);
	else
		printf("%s\n",
		       binary ? "the installed program runs" : "the configuration was taken over");
}

int cmd_reload(struct cli *cli)
{
	bool binary = cli_option(cli, "binary");
	long timeout = cli_option_number(cli, "timeout", 1, TIMEOUT_MAX, TIMEOUT_DEFAULT);
	json_t *answer = NULL;
	int fd, status;

	if (timeout < 0)
		return STATUS_USAGE;
	if (cli->argc)
		return cli_usage(cli, "unexpected \"%s\"", cli->argv[0]);
	if (geteuid() != 0)
		return cli_fail(cli, "this needs root: floodwalld listens to nobody else");
	fd = connect_daemon(timeout);
	if (fd < 0)
		return cli_fail(cli,
				"floodwalld does not run here (%s): start it with systemctl "
				"start floodwalld",
				strerror(-fd));
	if (control_is_root(fd))
		answer = ask(fd, binary ? CONTROL_BINARY : CONTROL_RELOAD);
	else
		errno = EPERM;
	close(fd);
	if (!json_is_object(answer)) {
		json_decref(answer);
		return cli_fail(cli, "floodwalld gave no answer (%s); its log says what it does",
				strerror(errno));
	}
	status = json_is_true(json_object_get(answer, "taken")) ? STATUS_OK : STATUS_NO;
	if (cli->json) {
		output_json(answer);
	} else {
		print(answer);
		json_decref(answer);
	}
	return status;
}
