/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors by setrlimit(2), figures from proc(5). Failing is never fatal: the proxy keeps within
 * the limit that it finds.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "supervisor/duties/usage.h"

/* For maps, sockets, logs and libraries, besides two for each connection. */
#define DESCRIPTORS_OWN 1024

void usage_raise_descriptors(const struct config *config)
{
	rlim_t wanted = 2 * config->settings[FW_SET_HOST_MAX_CONNECTIONS] +
			config->settings[FW_SET_HOST_DESCRIPTOR_RESERVE] + DESCRIPTORS_OWN;
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	/* The hard limit may be raised by root up to fs.nr_open; otherwise it is the end. */
	raised = (struct rlimit){wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return;
	raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
		log_warning("descriptors: the limit stays at %llu: %s",
			    (unsigned long long)limit.rlim_cur, strerror(errno));
}

/* Since Linux 6.2 the folder's size is the count; before that it has to be walked. */
static uint64_t count_descriptors(pid_t pid)
{
	char path[64];
	struct stat status;
	uint64_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (stat(path, &status) == 0 && status.st_size > 0)
		return (uint64_t)status.st_size;
	folder = opendir(path);
	if (!folder)
		return 0;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count > 2 ? count - 2 : 0; /* without . and .. */
}

static uint64_t resident_bytes(pid_t pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void usage_measure(struct roster_entry *entry, pid_t pid)
{
	atomic_store(&entry->pid, (uint64_t)pid);
	atomic_store(&entry->descriptors, pid ? count_descriptors(pid) : 0);
	atomic_store(&entry->resident_bytes, pid ? resident_bytes(pid) : 0);
}
