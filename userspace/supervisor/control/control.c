/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection is read at once and for at most a second: only root can make the supervisor wait,
 * and root could do worse.
 */
#include "supervisor/control/control.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/log.h"
#include "contract/control.h"
#include "supervisor/control/control_socket.h"

int control_keep(int control)
{
	struct error error;
	int kept = control_socket_keep(CONTROL_FOLDER, control, &error);

	if (kept >= 0)
		return kept;
	log_warning("control: %s; floodwall reload will not be heard, SIGHUP is%s", error.text,
		    kept == -EROFS ? " (a unit of systemd's needs RuntimeDirectory=floodwall)"
				   : "");
	return control;
}

void control_close(int control)
{
	control_socket_close(CONTROL_FOLDER, control);
}

static enum control_question read_question(int fd)
{
	char line[CONTROL_LINE_SIZE];
	ssize_t count = recv(fd, line, sizeof(line) - 1, 0);

	line[count > 0 ? count : 0] = '\0';
	if (!strcmp(line, CONTROL_RELOAD))
		return CONTROL_ASKS_RELOAD;
	return !strcmp(line, CONTROL_BINARY) ? CONTROL_ASKS_BINARY : CONTROL_NONE;
}

enum control_question control_accept(int control, int *asker)
{
	static const struct timeval patience = {.tv_sec = 1};
	enum control_question question;
	int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return CONTROL_NONE;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	question = control_is_root(fd, NULL) ? read_question(fd) : CONTROL_NONE;
	if (question == CONTROL_NONE)
		close(fd);
	else
		*asker = fd;
	return question;
}

static json_t *lines(const char *text)
{
	json_t *array = json_array();
	size_t size;

	for (; *text; text += size + (text[size] == '\n')) {
		size = strcspn(text, "\n");
		if (size)
			json_array_append_new(array, json_stringn_nocheck(text, size));
	}
	return array;
}

void control_answer(int *asker, const struct reload_outcome *outcome)
{
	json_t *answer;
	char *text;

	if (*asker < 0)
		return;
	answer = json_pack("{s:b, s:b, s:I, s:I, s:o, s:o}", "taken", outcome->taken, "binary",
			   outcome->binary, "generation", (json_int_t)outcome->generation, "pid",
			   (json_int_t)outcome->pid, "complaints",
			   lines(outcome->taken ? "" : outcome->error.text), "warnings",
			   lines(outcome->warnings.text));
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	if (!text || send(*asker, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_debug("control: who asked is not there any more");
	free(text);
	json_decref(answer);
	close(*asker);
	*asker = -1;
}
