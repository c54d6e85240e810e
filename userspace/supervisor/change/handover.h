/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that is installed now in the place of the one that runs, without anybody noticing.
 *
 * The process stays: it executes the new program, which finds in a file in memory what it takes
 * over: sockets, lock, session keys, and the children, which go on serving meanwhile and are still
 * its own. So a binary upgrade is a reload by another program, and the process id that systemd
 * watches is the same.
 *
 * The new program is asked first, as a process of its own, whether it could: it reads the
 * configuration, the certificates, the filter's maps and the very file that it would be handed. If
 * it fails nevertheless once it is in place, it executes the old one again (of which it was given
 * the open file, as its name may be gone) and nothing has changed but the time.
 */
#ifndef SUPERVISOR_CHANGE_HANDOVER_H
#define SUPERVISOR_CHANGE_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "supervisor/children/child.h"
#include "supervisor/children/generations.h"
#include "supervisor/sockets/sockets.h"
#include "warden/roster.h"

struct supervisor;

/* What a supervisor has from the one before it. What it takes it clears here (−1, 0). */
struct handover {
	struct sockets sockets; /* listening ones, the admin address's included */
	int lock, tickets, control, asker;
	struct child warden;
	struct generations proxies;
	uint64_t starts[ROSTER_COUNT], crashes[ROSTER_COUNT];
	uint64_t reloads, reloads_refused, drains_cut;
	const char *refused; /* why the new program gave it back; NULL: this is the new one */
};

/* Before anything else in main(): remembers what this process was executed as. */
void handover_remember(char **argv);

/*
 * Asks the program that is installed, and becomes it. Returns only if that can't be: −errno, and
 * everything is as before.
 */
int handover_execute(struct supervisor *supervisor, struct error *error);

/* Reads what this process was handed. 0: nothing, it was started anew; 1: *@handover is it; −errno.
 */
int handover_receive(struct handover *handover, struct error *error);
/* Asked only whether it could: nothing is taken, and nothing closed. Whoever could says so. */
bool handover_is_rehearsal(void);
void handover_say_yes(void);
/* Becomes the old program again, which is told why. Returns if there is none, or it can't be. */
void handover_return(const struct error *why);
/* What was handed over is in use: there is no way back. In a child: neither for this process. */
void handover_forget(void);

#endif
