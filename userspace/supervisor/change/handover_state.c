// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/change/handover_state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "supervisor/change/handover.h"
#include "supervisor/state.h"

/* Raised when a reader would misunderstand what a writer says, not when something is added. */
enum { STATE_VERSION = 1 };

/* --- out ------------------------------------------------------------------------------------- */

static json_t *write_child(const struct child *child)
{
	return json_pack("{s:i, s:i, s:b, s:I, s:I}", "pid", (int)child->pid, "control",
			 child->control, "ready", child->ready, "deadline_ns",
			 (json_int_t)child->deadline_ns, "started_ns",
			 (json_int_t)child->started_ns);
}

static json_t *write_generation(const struct generation *generation)
{
	return json_pack("{s:o, s:I, s:i, s:i}", "child", write_child(&generation->child), "number",
			 (json_int_t)generation->number, "first_row", (int)generation->rows.first,
			 "rows", (int)generation->rows.count);
}

static json_t *write_counters(const struct roster *roster)
{
	json_t *starts = json_array(), *crashes = json_array();

	for (int i = 0; i < ROSTER_COUNT; i++) {
		json_array_append_new(
			starts, json_integer((json_int_t)atomic_load(&roster->process[i].starts)));
		json_array_append_new(crashes, json_integer((json_int_t)atomic_load(
						       &roster->process[i].crashes)));
	}
	return json_pack("{s:o, s:o, s:I, s:I, s:I}", "starts", starts, "crashes", crashes,
			 "reloads", (json_int_t)atomic_load(&roster->reloads), "reloads_refused",
			 (json_int_t)atomic_load(&roster->reloads_refused), "drains_cut",
			 (json_int_t)atomic_load(&roster->drains_cut));
}

static json_t *write_program(const struct handover_program *program)
{
	json_t *arguments = json_array();

	for (char **argument = program->arguments; *argument; argument++)
		json_array_append_new(arguments, json_string(*argument));
	return json_pack("{s:s, s:o}", "path", program->path, "arguments", arguments);
}

static json_t *write_sockets(const struct holdings *held)
{
	json_t *sockets = json_array();

	for (size_t i = 0; i < held->sockets.count; i++)
		json_array_append_new(sockets, json_integer(held->sockets.list[i].fd));
	if (held->admin >= 0)
		json_array_append_new(sockets, json_integer(held->admin));
	return sockets;
}

static json_t *write_draining(const struct generations *proxies)
{
	json_t *draining = json_array();

	for (size_t i = 0; i < proxies->draining_count; i++)
		json_array_append_new(draining, write_generation(&proxies->draining[i]));
	return draining;
}

json_t *handover_state_write(const struct supervisor *supervisor,
			     const struct handover_program *program)
{
	const struct generations *proxies = &supervisor->proxies;
	const struct holdings *held = supervisor->held;

	return json_pack(
		"{s:i, s:o, s:i, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:I, s:o}", "version",
		STATE_VERSION, "program", write_program(program), "former", program->former,
		"sockets", write_sockets(held), "lock", held->lock, "tickets",
		tickets_descriptor(held->tickets), "control", supervisor->control, "asker",
		supervisor->asker, "serving", write_generation(&proxies->serving), "draining",
		write_draining(proxies), "warden", write_child(&supervisor->warden), "newest",
		(json_int_t)proxies->newest, "counters", write_counters(supervisor->roster));
}

static void keep_one_open(const json_t *value, bool keep)
{
	int fd = json_is_integer(value) ? (int)json_integer_value(value) : -1;

	if (fd >= 0)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static const json_t *control_of(const json_t *generation)
{
	return json_object_get(json_object_get(generation, "child"), "control");
}

void handover_state_keep_open(const json_t *state, bool keep)
{
	static const char *const single[] = {"former", "lock", "tickets", "control", "asker"};
	const json_t *value;
	size_t index;

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		keep_one_open(json_object_get(state, single[i]), keep);
	json_array_foreach(json_object_get(state, "sockets"), index, value)
		keep_one_open(value, keep);
	json_array_foreach(json_object_get(state, "draining"), index, value)
		keep_one_open(control_of(value), keep);
	keep_one_open(control_of(json_object_get(state, "serving")), keep);
	keep_one_open(json_object_get(json_object_get(state, "warden"), "control"), keep);
}

/* --- in -------------------------------------------------------------------------------------- */

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* A descriptor that no child shall inherit by accident; −1: there is none. */
static int descriptor(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	int fd = json_is_integer(value) ? (int)json_integer_value(value) : -1;

	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return fd;
}

static void read_child(const json_t *written, struct child *child)
{
	child->pid = (pid_t)number(written, "pid");
	child->control = descriptor(written, "control");
	child->ready = json_is_true(json_object_get(written, "ready"));
	child->deadline_ns = (uint64_t)number(written, "deadline_ns");
	child->started_ns = child->heard_ns = (uint64_t)number(written, "started_ns");
}

static void read_generation(const json_t *written, struct generation *generation)
{
	*generation = (struct generation){.child = CHILD_INIT("proxy")};
	read_child(json_object_get(written, "child"), &generation->child);
	generation->number = (uint64_t)number(written, "number");
	generation->rows.first = (uint32_t)number(written, "first_row");
	generation->rows.count = (uint32_t)number(written, "rows");
}

static void read_counters(const json_t *written, struct handover *handover)
{
	const json_t *starts = json_object_get(written, "starts");
	const json_t *crashes = json_object_get(written, "crashes");

	for (size_t i = 0; i < ROSTER_COUNT; i++) {
		handover->starts[i] = (uint64_t)json_integer_value(json_array_get(starts, i));
		handover->crashes[i] = (uint64_t)json_integer_value(json_array_get(crashes, i));
	}
	handover->reloads = (uint64_t)number(written, "reloads");
	handover->reloads_refused = (uint64_t)number(written, "reloads_refused");
	handover->drains_cut = (uint64_t)number(written, "drains_cut");
}

static int read_sockets(const json_t *written, struct sockets *sockets, struct error *error)
{
	const json_t *value;
	size_t index;
	int result;

	json_array_foreach(written, index, value)
	{
		result = sockets_adopt(sockets, (int)json_integer_value(value), error);
		if (result < 0)
			return error_wrap(error, result, "upgrade");
	}
	return 0;
}

static void read_program(const json_t *state, struct handover_program *program)
{
	const json_t *written = json_object_get(state, "program");
	const json_t *arguments = json_object_get(written, "arguments"), *value;
	const char *path = json_string_value(json_object_get(written, "path"));
	char **list = calloc(json_array_size(arguments) + 1, sizeof(*list));
	size_t index;

	program->former = descriptor(state, "former");
	if (path)
		program->path = strdup(path);
	json_array_foreach(arguments, index, value)
	{
		if (list && json_is_string(value))
			list[index] = strdup(json_string_value(value));
	}
	if (list && list[0])
		program->arguments = list;
	else
		free(list);
}

int handover_state_read(const json_t *state, struct handover *handover,
			struct handover_program *program, struct error *error)
{
	const json_t *written;
	size_t index;

	read_program(state, program); /* whoever can't read the rest can still give it back */
	if (number(state, "version") != STATE_VERSION)
		return error_set(error, -EPROTO,
				 "upgrade: the program that runs hands over in form %d, this one "
				 "reads %d: restart floodwalld instead",
				 (int)number(state, "version"), STATE_VERSION);
	if (handover_is_rehearsal())
		return 0; /* the descriptors are not here */
	handover->lock = descriptor(state, "lock");
	handover->tickets = descriptor(state, "tickets");
	handover->control = descriptor(state, "control");
	handover->asker = descriptor(state, "asker");
	read_child(json_object_get(state, "warden"), &handover->warden);
	read_generation(json_object_get(state, "serving"), &handover->proxies.serving);
	json_array_foreach(json_object_get(state, "draining"), index, written)
	{
		if (index < FW_WORKERS_MAX)
			read_generation(
				written,
				&handover->proxies.draining[handover->proxies.draining_count++]);
	}
	handover->proxies.newest = (uint64_t)number(state, "newest");
	read_counters(json_object_get(state, "counters"), handover);
	if (handover->lock < 0 || handover->tickets < 0)
		return error_set(error, -EINVAL,
				 "upgrade: the lock or the keys were not handed over");
	return read_sockets(json_object_get(state, "sockets"), &handover->sockets, error);
}
