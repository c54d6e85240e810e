/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network namespace and a cgroup of the test's own, for tests with real sockets: what they attach
 * concerns nobody else, and nothing of it is left.
 */
#ifndef PACKET_PLACE_H
#define PACKET_PLACE_H

/* cmocka group fixtures: the process moves in, with lo up, and out. */
int place_enter(void **state);
int place_leave(void **state);
const char *place_cgroup(void); /* path of its directory */

#endif
