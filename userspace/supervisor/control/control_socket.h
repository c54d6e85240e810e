/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket that floodwall reload finds: a file in a folder that is root's alone.
 *
 * The file outlives whoever made it, so it says nothing by itself: who listens behind it does. A
 * file behind which nobody listens, or somebody who is not root, is replaced; another daemon's is
 * left alone. Whether a daemon's own file is still there can be asked again at any time.
 */
#ifndef SUPERVISOR_CONTROL_CONTROL_SOCKET_H
#define SUPERVISOR_CONTROL_CONTROL_SOCKET_H

#include "base/error.h"

/*
 * The listening socket to which CONTROL_NAME in @folder leads from now on: @control, where that is
 * so already; else a new one, and @control (−1: none) is closed. −errno: there can be none, and
 * @control is as it was.
 */
int control_socket_keep(const char *folder, int control, struct error *error);
/* Closes it, −1 is allowed; the file goes if it is its own. */
void control_socket_close(const char *folder, int control);

#endif
