/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One loop, one thread: the admin address when it has work, the lists each second, what is on
 * record now and then, and the end when the supervisor says so or is gone.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "warden/http.h"
#include "warden/warden.h"

#define TURN_MS    1000
#define TIDY_MS    600000 /* at most so often, as it reads all tables … */
#define TIDY_SHARE 8      /* … and when one in eight looks into a table may be in vain */

/* An expired entry counts as absent already: this only gives its room back. */
static void expire(struct wall *wall, bool *complained)
{
	static const enum wall_list lists[] = {WALL_ALLOW, WALL_BLOCK};
	struct error error;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		int removed = wall_list_expire(wall, lists[i], &error);

		if (removed > 0)
			log_debug("%s list: %d entries expired",
				  lists[i] == WALL_ALLOW ? "allow" : "block", removed);
		if (removed >= 0 || *complained)
			continue;
		*complained = true; /* once: each second would be too often */
		log_error("lists are not expired: %s", error.text);
	}
}

/* Without it the filter would be right all the same, and slower under a flood. */
static void tidy(struct wall *wall)
{
	struct error error;

	if (wall_records_tidy(wall, TIDY_SHARE, &error) < 0)
		log_error("networks on record are not tidied: %s", error.text);
}

int warden_run(const struct warden_options *options, struct error *error)
{
	struct pollfd ready[2] = {{.fd = options->control, .events = POLLIN},
				  {.fd = -1, .events = POLLIN}};
	struct http *http = NULL;
	bool complained = false;
	uint64_t expired = 0, tidied = 0, now;
	int result;

	if (options->listener >= 0) {
		result = http_open(options, &http, error);
		if (result < 0)
			return result;
		ready[1].fd = http_descriptor(http);
	}
	do {
		now = clock_now_ns();
		if (now - expired >= TURN_MS * CLOCK_MS) {
			expire(options->wall, &complained);
			expired = now;
		}
		if (now - tidied >= TIDY_MS * CLOCK_MS) {
			tidy(options->wall);
			tidied = now;
		}
		if (http)
			http_serve(http);
		if (poll(ready, 2, TURN_MS) < 0 && errno != EINTR) {
			result = error_set(error, -errno, "poll: %s", strerror(errno));
			http_close(http);
			return result;
		}
	} while (!ready[0].revents);
	http_close(http);
	return 0;
}
