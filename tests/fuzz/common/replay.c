/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target on files instead of a fuzzer: each file named, and each file of each folder
 * named. A target that finds its property broken aborts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static size_t replayed;

static int replay_file(const char *path, size_t length)
{
	uint8_t *data = malloc(length ? length : 1);
	FILE *file = fopen(path, "rb");
	int result = -1;

	if (!data || !file || fread(data, 1, length, file) != length) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	} else {
		fprintf(stderr, "%s\n", path); /* the last line names the culprit */
		result = LLVMFuzzerTestOneInput(data, length);
		replayed++;
	}
	if (file)
		fclose(file);
	free(data);
	return result;
}

static int replay(const char *path)
{
	char inside[4096];
	struct dirent *entry;
	struct stat status;
	int result = 0;
	DIR *folder;

	if (stat(path, &status)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(status.st_mode))
		return replay_file(path, (size_t)status.st_size);
	folder = opendir(path);
	if (!folder) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (!result && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && snprintf(inside, sizeof(inside), "%s/%s", path,
							entry->d_name) < (int)sizeof(inside))
			result = replay(inside);
	closedir(folder);
	return result;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|FOLDER…\n", argv[0]);
		return 2;
	}
	for (i = 1; i < argc; i++)
		if (replay(argv[i]))
			return 1;
	printf("%zu inputs replayed\n", replayed);
	return replayed ? 0 : 1;
}
