// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/roles.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "proxy/proxy.h"
#include "supervisor/change/handover.h"
#include "supervisor/children/sandbox.h"
#include "supervisor/state.h"
#include "warden/warden.h"

/* Of a child to be. */
struct role {
	const struct supervisor *supervisor;
	const struct holdings *held; /* what it is to work with */
	uint32_t first_row;          /* proxy: of the board */
};

static void let_go(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* What no child may keep: a copy in here would hide the end of the original from whoever waits for
 * it. */
static void forget(const struct role *role)
{
	const struct supervisor *supervisor = role->supervisor;

	generations_forget(&supervisor->proxies);
	let_go(supervisor->warden.control);
	let_go(supervisor->held->lock);
	let_go(supervisor->signals);
	let_go(supervisor->control);
	let_go(supervisor->asker);
	handover_forget();
}

/* Bindings and an admin address that its configuration does not name. */
static void forget_former(const struct role *role)
{
	struct sockets received = role->held->received;
	struct sockets former = role->supervisor->held->sockets;

	sockets_close(&received, &role->held->sockets);
	if (role->held == role->supervisor->held)
		return;
	sockets_close(&former, &role->held->sockets);
	if (role->supervisor->held->admin != role->held->admin)
		let_go(role->supervisor->held->admin);
}

static int fail(const struct error *error)
{
	log_lines(LOG_LEVEL_ERROR, "can't start", error->text);
	return EXIT_FAILURE;
}

/* --- the proxy ------------------------------------------------------------------------------- */

static bool is_bound_to(const struct config_service *listener, const struct fw_service_key *binding)
{
	for (size_t i = 0; i < listener->binding_count; i++)
		if (!memcmp(&listener->bindings[i], binding, sizeof(*binding)))
			return true;
	return false;
}

/*
 * Whose each socket is. There may be more of them for a binding than workers (there were more
 * workers once): a worker then has several. There may be fewer (systemd opened one): then several
 * workers accept from the same, each by a descriptor of its own. Returns how many were written.
 */
static size_t assign(const struct role *role, struct proxy_socket *list)
{
	const struct config *config = role->held->config;
	const struct sockets *sockets = &role->held->sockets;
	size_t filled = 0;

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_service *listener = &config->services[i];
		int id = wall_service_find(role->held->wall, listener->name, NULL);

		for (size_t j = 0; id >= 0 && j < sockets->count; j++) {
			const struct listening *socket = &sockets->list[j];
			uint32_t each = sockets_of(sockets, &socket->binding);

			if (!is_bound_to(listener, &socket->binding))
				continue;
			for (uint32_t worker = socket->nth % config->threads;
			     worker < config->threads; worker += each)
				list[filled++] = (struct proxy_socket){
					.fd = worker == socket->nth % config->threads
						      ? socket->fd
						      : dup(socket->fd),
					.worker = worker,
					.listener = listener,
					.service = (uint32_t)id,
				};
		}
	}
	return filled;
}

static int run_proxy(void *context, int control)
{
	const struct role *role = context;
	const struct holdings *held = role->held;
	const struct sandbox sandbox = {.user = held->config->user, .uses_maps = false};
	struct proxy_socket *sockets =
		calloc(held->sockets.count * held->config->threads + 1, sizeof(*sockets));
	struct error error = {"out of memory"};
	struct proxy_options options = {
		.config = held->config,
		.credentials = held->credentials,
		.wall = held->wall,
		.sockets = sockets,
		.worker_base = role->first_row,
		.access_log = held->access_log,
		.control = control,
	};

	log_open("floodwalld[proxy]");
	forget(role);
	forget_former(role);
	let_go(held->admin);
	if (!sockets)
		return fail(&error);
	options.socket_count = assign(role, sockets);
	if (sandbox_enter(&sandbox, &error) < 0 || proxy_run(&options, &error) < 0)
		return fail(&error);
	return EXIT_SUCCESS;
}

int role_start_proxy(struct supervisor *supervisor, struct child *child,
		     const struct holdings *held, uint32_t first_row, uint64_t now_ns)
{
	struct role role = {supervisor, held, first_row};

	atomic_fetch_add(&supervisor->roster->process[ROSTER_PROXY].starts, 1);
	duties_measure_soon(&supervisor->duties);
	return child_start(child, run_proxy, &role, now_ns);
}

/* --- the warden ------------------------------------------------------------------------------ */

static int run_warden(void *context, int control)
{
	const struct role *role = context;
	const struct holdings *held = role->held;
	const struct sandbox sandbox = {.user = held->config->user, .uses_maps = true};
	struct error error = {""};
	struct warden_options options = {
		.wall = held->wall,
		.roster = role->supervisor->roster,
		.listener = held->admin,
		.control = control,
	};

	log_open("floodwalld[warden]");
	forget(role);
	for (size_t i = 0; i < held->sockets.count; i++)
		close(held->sockets.list[i].fd);
	/* What it does not have nobody can take from it. */
	credentials_free(held->credentials);
	tickets_drop(held->tickets);
	if (sandbox_enter(&sandbox, &error) < 0 || warden_run(&options, &error) < 0)
		return fail(&error);
	return EXIT_SUCCESS;
}

void role_start_warden(struct supervisor *supervisor, uint64_t now_ns)
{
	struct role role = {.supervisor = supervisor, .held = supervisor->held};

	atomic_fetch_add(&supervisor->roster->process[ROSTER_WARDEN].starts, 1);
	duties_measure_soon(&supervisor->duties);
	child_start(&supervisor->warden, run_warden, &role, now_ns);
}
