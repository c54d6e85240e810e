/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How floodwall reload speaks to floodwalld: over a socket in the abstract namespace, so that there
 * is no file to lie about, to be left behind or to be in the wrong mount. Each end looks who the
 * other one is (SO_PEERCRED) and hears nobody but root.
 *
 * One line asks; one JSON object answers when it is done, and the connection ends:
 *
 *     {"taken": true, "binary": false, "generation": 12, "pid": 4711,
 *      "complaints": [], "warnings": ["floodwall.conf:3: …"]}
 */
#ifndef CONTRACT_CONTROL_H
#define CONTRACT_CONTROL_H

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONTROL_NAME   "floodwalld/control"
#define CONTROL_RELOAD "reload\n"
#define CONTROL_BINARY "reload binary\n"

enum { CONTROL_LINE_SIZE = 64 };

/* Fills the address; returns its length. */
static inline socklen_t control_address(struct sockaddr_un *address)
{
	/* Abstract: the path begins with a NUL byte, and ends with its length. */
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path + 1, CONTROL_NAME, sizeof(CONTROL_NAME) - 1);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(CONTROL_NAME));
}

/* Whether the other end is root's. */
static inline int control_is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

#endif
