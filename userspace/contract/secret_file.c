/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret is wiped from every buffer that it went through. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "contract/secret_file.h"

#define DIGITS 32

static int check_access(const char *path, int fd, struct error *error)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return error_set(error, -EINVAL, "%s: is not a file", path);
	if (stat.st_uid != 0 && stat.st_uid != geteuid())
		return error_set(error, -EPERM,
				 "%s: belongs to user %u, who could change it: chown root %s", path,
				 stat.st_uid, path);
	if (stat.st_mode & (S_IRWXG | S_IRWXO))
		return error_set(error, -EPERM,
				 "%s: others than its owner have access (mode %04o), and so could "
				 "forge cookies: chmod 600 %s, and make a new secret if they did",
				 path, stat.st_mode & 07777, path);
	return 0;
}

static bool is_secret(const char *text, size_t size)
{
	bool zero = true;

	if (size == DIGITS + 1 && text[DIGITS] == '\n')
		size--;
	if (size != DIGITS)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
		zero &= text[i] == '0';
	}
	return !zero;
}

int secret_file_read(const char *path, uint64_t key[2], struct error *error)
{
	char text[DIGITS + 3] = "", half[DIGITS / 2 + 1] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;
	ssize_t size = 0;

	if (fd < 0)
		return error_set(error, -errno, "%s: %s%s", path, strerror(errno),
				 errno == ENOENT ? "; copy it from another host, or make the first "
						   "one: floodwall rekey --write FILE"
						 : "");
	result = check_access(path, fd, error);
	if (result == 0)
		size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (result == 0 && (size < 0 || !is_secret(text, (size_t)size)))
		result = error_set(error, -EINVAL,
				   "%s: is not a secret: %d hexadecimal digits and nothing else, "
				   "such as openssl rand -hex %d writes",
				   path, DIGITS, DIGITS / 2);
	for (int i = 0; i < 2 && result == 0; i++) {
		memcpy(half, text + i * (DIGITS / 2), DIGITS / 2);
		key[i] = strtoull(half, NULL, 16);
	}
	explicit_bzero(text, sizeof(text));
	explicit_bzero(half, sizeof(half));
	return result;
}

/* 0 or −errno. */
static int write_secret(int fd)
{
	char text[DIGITS + 2];
	uint64_t key[2];
	int result = 0;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64 "\n", key[0], key[1]);
	if (write(fd, text, DIGITS + 1) != DIGITS + 1 || fsync(fd) < 0)
		result = errno ? -errno : -EIO;
	explicit_bzero(text, sizeof(text));
	explicit_bzero(key, sizeof(key));
	return result;
}

int secret_file_write(const char *path, struct error *error)
{
	char *beside = NULL;
	int fd, result;

	if (asprintf(&beside, "%s.XXXXXX", path) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
	result = fd < 0 ? -errno : write_secret(fd);
	if (fd >= 0)
		close(fd);
	if (result == 0 && rename(beside, path) < 0)
		result = -errno;
	if (result < 0 && fd >= 0)
		unlink(beside);
	free(beside);
	return result == 0 ? 0
			   : error_set(error, result, "%s: can't be written: %s", path,
				       strerror(-result));
}
