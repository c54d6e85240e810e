/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's sysctls, by their usual names: "net.ipv4.tcp_syncookies". */
#ifndef BASE_SYSCTL_H
#define BASE_SYSCTL_H

#include <stddef.h>

/* The value as text, its words separated by tabs, without the newline. 0 or −errno. */
int sysctl_read(const char *name, char *value, size_t size);
/* Word number @index of the value; @otherwise: it can't be read, or is no number. */
unsigned long sysctl_number(const char *name, int index, unsigned long otherwise);
int sysctl_write(const char *name, const char *value); /* 0 or −errno */

#endif
