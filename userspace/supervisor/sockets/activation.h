/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets that systemd has opened (sd_listen_fds(3)), so that clients queue from boot on
 * and while floodwalld is restarted. They belong to the bindings of the same address, whatever they
 * are called.
 */
#ifndef SUPERVISOR_SOCKETS_ACTIVATION_H
#define SUPERVISOR_SOCKETS_ACTIVATION_H

#include "supervisor/sockets/sockets.h"

/* Takes them over; what is no listening TCP socket is closed, and said to be. */
void activation_receive(struct sockets *sockets);
/* Closes what is in @received and not in @used, and says so. */
void activation_close_unused(struct sockets *received, const struct sockets *used);

#endif
