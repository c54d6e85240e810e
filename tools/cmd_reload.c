/* SPDX-License-Identifier: BSD-2-Clause */
/* reload: has floodwalld take its configuration over, or the program that is installed, and says
 * how that went. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "contract/control.h"

#define ANSWER_SIZE_MAX 65536

enum { TIMEOUT_DEFAULT = 120, TIMEOUT_MAX = 3600 }; /* seconds */

/* Says why floodwalld can't be asked, and what to do. */
static int fail_to_connect(struct cli *cli, int code)
{
	if (code == -ENOENT)
		return cli_fail(cli, "floodwalld does not run here (there is no " CONTROL_PATH
				     "): start it with systemctl start floodwalld");
	if (code == -ECONNREFUSED)
		return cli_fail(cli, "floodwalld does not run here (" CONTROL_PATH
				     " is left of one that was killed): start it with systemctl "
				     "start floodwalld");
	return cli_fail(cli, CONTROL_PATH ": %s", strerror(-code));
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
	fd = control_connect(CONTROL_PATH, timeout);
	if (fd < 0)
		return fail_to_connect(cli, fd);
	if (control_is_root(fd, NULL))
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
