/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How floodwall reload speaks to floodwalld: over a socket in a folder in which nobody but root can
 * make, remove or reach anything. Each end looks who the other one is all the same (SO_PEERCRED)
 * and hears nobody but root.
 *
 * One line asks; one JSON object answers when it is done, and the connection ends:
 *
 *     {"taken": true, "binary": false, "generation": 12, "pid": 4711,
 *      "complaints": [], "warnings": ["floodwall.conf:3: …"]}
 */
#ifndef CONTRACT_CONTROL_H
#define CONTRACT_CONTROL_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#define CONTROL_FOLDER "/run/floodwall"
#define CONTROL_NAME   "control"
#define CONTROL_PATH   CONTROL_FOLDER "/" CONTROL_NAME
#define CONTROL_RELOAD "reload\n"
#define CONTROL_BINARY "reload binary\n"

enum { CONTROL_LINE_SIZE = 64 };

/* A connection to whoever listens at @path, which makes its caller wait for @seconds at most, now
 * and later; 0: never. −errno; −EAGAIN: he has too many callers. */
int control_connect(const char *path, long seconds);
/* Whether the other end is root's; *@pid, unless NULL, is which process it is. */
bool control_is_root(int fd, pid_t *pid);

#endif
