/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real listeners in a network namespace of the test's own, where the loopback interface stands for
 * the wire: BPF_PROG_RUN says that packets come in by it.
 */
#ifndef PACKET_SERVER_H
#define PACKET_SERVER_H

#include <stdint.h>

/* cmocka group fixture. */
int server_begin(void **state);

/* The namespace has the address, so that connections from and to it are made. It may be told
 * again. */
void server_own(const char *address);

/* A TCP segment over IPv4 comes in by lo: its checksum is filled in. */
struct frame;
void server_receive(const struct frame *segment);

/* Listens on an address, which nobody need have: 0.0.0.0 for IPv4, :: for both families. Several
 * may share one (SO_REUSEPORT). @protocol 0: TCP. −1: the kernel can't. */
int server_listen(const char *address, uint16_t port, int backlog, int protocol);

/* server_sysctl("ipv4/tcp_syncookies", 2), of the namespace. */
void server_sysctl(const char *name, int value);

#endif
