/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/sysctl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_sysctl(const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	for (char *at = path; *at; at++)
		if (*at == '.')
			*at = '/';
	return open(path, flags | O_CLOEXEC);
}

int sysctl_read(const char *name, char *value, size_t size)
{
	int fd = open_sysctl(name, O_RDONLY), result;
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, value, size - 1);
	result = length < 0 ? -errno : 0;
	close(fd);
	value[length > 0 ? length : 0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return result;
}

unsigned long sysctl_number(const char *name, int index, unsigned long otherwise)
{
	char text[128], *at = text, *end;
	unsigned long value;

	if (sysctl_read(name, text, sizeof(text)) < 0)
		return otherwise;
	do {
		value = strtoul(at, &end, 10);
		if (end == at)
			return otherwise;
		at = end;
	} while (index--);
	return value;
}

int sysctl_write(const char *name, const char *value)
{
	int fd = open_sysctl(name, O_WRONLY), result;

	if (fd < 0)
		return -errno;
	result = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return result;
}
