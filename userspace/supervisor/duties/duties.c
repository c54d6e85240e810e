// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/duties/duties.h"
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/duties/attachment.h"
#include "supervisor/duties/lists.h"
#include "supervisor/duties/usage.h"
#include "supervisor/state.h"

#define MEASURE_NS     (5 * CLOCK_SEC)
#define TIDY_NS        (60 * CLOCK_SEC)
#define WATCHDOG_SHARE 3 /* of the time that systemd gives, a sign of life comes thrice */

void duties_begin(struct duties *duties)
{
	uint64_t usec = 0;

	*duties = (struct duties){0};
	if (sd_watchdog_enabled(0, &usec) > 0)
		duties->watchdog_ns = usec * 1000 / WATCHDOG_SHARE;
}

void duties_measure_soon(struct duties *duties)
{
	duties->measured_ns = 0;
}

/* Whether @period has passed since *@last, which is now then. */
static bool is_turn(uint64_t *last_ns, uint64_t period_ns, uint64_t now_ns)
{
	if (*last_ns && now_ns - *last_ns < period_ns)
		return false;
	*last_ns = now_ns;
	return true;
}

/* Hosts that share a secret agree by the wall clock, which may be set. */
static void keep_time(struct wall *wall)
{
	struct error error;
	int result = wall_secret_keep_time(wall, &error);

	if (result < 0)
		log_warning("secret of SYN cookies: %s", error.text);
	else if (result)
		log_info("the clock was set: SYN cookies go by it");
}

const char duties_disowned_text[] =
	"the filter's maps were removed (floodwall detach --all): what is set, blocked or "
	"counted in new ones does not reach this daemon until it is restarted: systemctl restart "
	"floodwalld";

/* Says once that what this daemon works with is nobody else's any more. */
static void tell_if_disowned(struct duties *duties, const struct wall *wall)
{
	if (duties->disowned || wall_is_pinned(wall))
		return;
	duties->disowned = true;
	log_error("%s", duties_disowned_text);
}

static void publish(struct supervisor *supervisor)
{
	struct roster_entry *process = supervisor->roster->process;
	struct wall *wall = supervisor->held->wall;

	tell_if_disowned(&supervisor->duties, wall);
	attachment_publish(wall, supervisor->roster);
	lists_publish(wall, supervisor->roster);
	keep_time(wall);
	usage_measure(&process[ROSTER_SUPERVISOR], getpid());
	usage_measure(&process[ROSTER_PROXY], supervisor->proxies.serving.child.pid);
	usage_measure(&process[ROSTER_WARDEN], supervisor->warden.pid);
}

uint64_t duties_wait(const struct supervisor *supervisor)
{
	return supervisor->duties.complained || supervisor->proxies.serving.child.complains
		       ? COMPLAINTS_BUSY_NS
		       : COMPLAINTS_IDLE_NS;
}

static void look_at_complaints(struct supervisor *supervisor, uint64_t now_ns)
{
	struct duties *duties = &supervisor->duties;

	supervisor->proxies.serving.child.complains = false;
	duties->complained = complaints_follow(supervisor->held->wall, &duties->complaints, now_ns);
}

void duties_attend(struct supervisor *supervisor, uint64_t now_ns)
{
	struct duties *duties = &supervisor->duties;
	struct holdings *held = supervisor->held;

	if (is_turn(&duties->followed_ns, PRESSURE_FOLLOW_NS, now_ns))
		pressure_follow(held->wall, &duties->said, now_ns);
	if (is_turn(&duties->complaints_ns, duties_wait(supervisor), now_ns))
		look_at_complaints(supervisor, now_ns);
	if (is_turn(&duties->tidied_ns, TIDY_NS, now_ns))
		lists_tidy(held->wall);
	if (!tickets_rotate(held->tickets, now_ns))
		log_error("session tickets: the kernel gives no random numbers; the old keys stay");
	if (is_turn(&duties->measured_ns, MEASURE_NS, now_ns))
		publish(supervisor);
	if (duties->watchdog_ns && generations_are_well(supervisor, now_ns) &&
	    is_turn(&duties->watched_ns, duties->watchdog_ns, now_ns))
		sd_notify(0, "WATCHDOG=1");
}
