/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets as files: what is written is read again, and what others could have read is not taken. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "contract/secret_file.h"

static char folder[] = "/tmp/floodwall-secret-XXXXXX", path[64];
static struct error error;
static uint64_t key[2];

static void write_text(const char *text, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(chmod(path, mode), 0);
}

static void thirty_two_digits_are_a_secret(void **state)
{
	(void)state;
	write_text("0123456789abcdefFEDCBA9876543210\n", 0600);
	assert_int_equal(secret_file_read(path, key, &error), 0);
	assert_int_equal(key[0], 0x0123456789abcdef);
	assert_int_equal(key[1], 0xfedcba9876543210);
	write_text("00000000000000000000000000000001", 0400);
	assert_int_equal(secret_file_read(path, key, &error), 0);
	assert_int_equal(key[0], 0);
	assert_int_equal(key[1], 1);
}

static void nothing_else_is(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789abcdef0123456789abcdef\n\n",
		"0123456789abcdef0123456789abcdef\r\n",
		"0x23456789abcdef0123456789abcdef",
		" 123456789abcdef0123456789abcdef",
		"-123456789abcdef0123456789abcdef",
		"00000000000000000000000000000000\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(texts[i], 0600);
		assert_int_equal(secret_file_read(path, key, &error), -EINVAL);
		assert_non_null(strstr(error.text, path));
		assert_non_null(strstr(error.text, "32 hexadecimal digits"));
	}
	assert_int_equal(secret_file_read(folder, key, &error), -EINVAL);
	unlink(path);
	assert_int_equal(secret_file_read(path, key, &error), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody waits for a writer */
	assert_int_equal(secret_file_read(path, key, &error), -EINVAL);
	unlink(path);
}

static void what_others_have_access_to_is_refused(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0777};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_text("0123456789abcdef0123456789abcdef\n", modes[i]);
		assert_int_equal(secret_file_read(path, key, &error), -EPERM);
		assert_non_null(strstr(error.text, "chmod 600"));
	}
	if (geteuid() != 0)
		return;
	write_text("0123456789abcdef0123456789abcdef\n", 0600);
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(secret_file_read(path, key, &error), -EPERM);
	assert_non_null(strstr(error.text, "chown root"));
}

static void a_written_secret_is_new_and_its_owners_alone(void **state)
{
	uint64_t before[2];
	struct stat stat_of;

	(void)state;
	unlink(path);
	assert_int_equal(secret_file_write(path, &error), 0);
	assert_int_equal(secret_file_read(path, before, &error), 0);
	assert_int_equal(secret_file_write(path, &error), 0);
	assert_int_equal(secret_file_read(path, key, &error), 0);
	assert_memory_not_equal(before, key, sizeof(key));
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 07777, 0600);
	assert_int_equal(secret_file_write("/nonesuch/key", &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonesuch/key"));
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/key", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thirty_two_digits_are_a_secret),
		cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(what_others_have_access_to_is_refused),
		cmocka_unit_test(a_written_secret_is_new_and_its_owners_alone),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
