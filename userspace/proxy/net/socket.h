/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets before they are streams: accepting, connecting, refusing.
 */
#ifndef PROXY_NET_SOCKET_H
#define PROXY_NET_SOCKET_H

#include <stdint.h>
#include "floodwall.h"

/* Readies a listening socket for what it accepts: no delay of small writes. 0 or −errno. */
int socket_prepare_listening(int fd);

/*
 * The next connection that waits at @fd, non-blocking. −EAGAIN: none. −EMFILE, −ENFILE, −ENOBUFS,
 * −ENOMEM: the host is out of something, and the connection still waits. Connections that died
 * while they waited are passed over.
 */
int socket_accept(int fd, struct fw_addr *source, uint16_t *port);

/* Starts to connect, without waiting. The socket, or −errno. */
int socket_connect(const struct fw_addr *addr, uint16_t port);

/* Its own end of a connection. */
struct fw_addr socket_local(int fd, uint16_t *port);

/* Closes with a reset: the peer learns it at once, and no state of it stays. */
void socket_reset(int fd);

/* Bytes that have come and were not read; bytes that were written and that the peer's host has not
 * taken. 0 also where the kernel does not say. */
uint32_t socket_unread(int fd);
uint32_t socket_untaken(int fd);

/*
 * From now on what is sent goes one hop far: the reset that follows is dropped by the filter as it
 * leaves (bpf/silent.h), or else by the next router. No privilege is needed for it.
 */
void socket_silence(int fd);

/* Connections that wait to be accepted, of how many that may; 0 or −errno. */
int socket_queue(int fd, uint32_t *waiting, uint32_t *most);

#endif
