/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may be where floodwall reload looks, and who gives way to whom. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "contract/control.h"
#include "supervisor/control/control_socket.h"

enum { STRANGER = 65534 };

static char home[64], folder[80], path[96];
static struct error error;

static int begin(void **state)
{
	(void)state;
	strcpy(home, "/tmp/floodwall-control-XXXXXX");
	assert_non_null(mkdtemp(home));
	chmod(home, 0755);
	snprintf(folder, sizeof(folder), "%s/floodwall", home);
	snprintf(path, sizeof(path), "%s/" CONTROL_NAME, folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	if (rmdir(folder) < 0)
		unlink(folder);
	return rmdir(home);
}

static int keep(int control)
{
	return control_socket_keep(folder, control, &error);
}

/* Which process of root's listens there; 0: none. */
static pid_t listener(void)
{
	int fd = control_connect(path, 0);
	pid_t pid = 0;

	if (fd < 0)
		return 0;
	if (!control_is_root(fd, &pid))
		pid = 0;
	close(fd);
	return pid;
}

/* Without a look at who else is there. */
static int listen_rashly(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : listen(fd, 1);
}

/* Another process that listens there as @user, until it is killed. */
static pid_t start_another(uid_t user)
{
	int word[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(word), 0);
	pid = fork();
	if (pid == 0) {
		int result = setuid(user) < 0 ? -1 : user ? listen_rashly() : keep(-1);

		if (result >= 0 && write(word[1], "!", 1) == 1)
			pause();
		_exit(1);
	}
	close(word[1]);
	assert_int_equal(read(word[0], &byte, 1), 1);
	close(word[0]);
	return pid;
}

static void end_another(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void it_is_made_for_root_alone(void **state)
{
	int control = keep(-1);
	struct stat is;

	(void)state;
	assert_true(control >= 0);
	assert_int_equal(stat(folder, &is), 0);
	assert_int_equal(is.st_mode & 07777, 0700);
	assert_int_equal(stat(path, &is), 0);
	assert_int_equal(is.st_mode & 07777, 0600);
	assert_int_equal(listener(), getpid());
	control_socket_close(folder, control);
	assert_int_equal(access(path, F_OK), -1);
}

static void what_is_in_order_is_kept(void **state)
{
	int control = keep(-1);

	(void)state;
	assert_int_equal(keep(control), control);
	unlink(path); /* somebody tidied up */
	assert_int_equal(listener(), 0);
	control = keep(control);
	assert_true(control >= 0);
	assert_int_equal(listener(), getpid());
	control_socket_close(folder, control);
}

/* With so many callers waiting that not even we get through. */
static void one_that_is_very_busy_is_kept(void **state)
{
	int control = keep(-1), callers[32], count = 0;

	(void)state;
	while (count < 32 && (callers[count] = control_connect(path, 0)) >= 0)
		count++;
	assert_in_range(count, 1, 31);
	assert_int_equal(keep(control), control);
	assert_int_equal(keep(-1), -EADDRINUSE);
	while (count)
		close(callers[--count]);
	control_socket_close(folder, control);
}

static void what_a_dead_one_left_is_replaced(void **state)
{
	pid_t other = start_another(0);
	int control;

	(void)state;
	assert_int_equal(listener(), other);
	end_another(other);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(listener(), 0);
	control = keep(-1);
	assert_true(control >= 0);
	assert_int_equal(listener(), getpid());
	control_socket_close(folder, control);
}

static void another_daemons_is_left_alone(void **state)
{
	pid_t other = start_another(0);
	char text[16];

	(void)state;
	assert_int_equal(keep(-1), -EADDRINUSE);
	snprintf(text, sizeof(text), "(%d)", (int)other);
	assert_non_null(strstr(error.text, text));
	assert_int_equal(listener(), other);
	end_another(other);
}

/* Nor does the end of one take the file of the next away. */
static void who_ends_removes_his_own_file_only(void **state)
{
	int control = keep(-1);
	pid_t other;

	(void)state;
	unlink(path);
	other = start_another(0);
	control_socket_close(folder, control);
	assert_int_equal(listener(), other);
	end_another(other);
}

/* In a folder that was open to all until now somebody was first: he is not heard, and not obeyed.
 */
static void a_stranger_gives_way(void **state)
{
	struct stat is;
	pid_t stranger;
	int control;

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	stranger = start_another(STRANGER);
	control = keep(-1);
	assert_true(control >= 0);
	assert_int_equal(listener(), getpid());
	assert_int_equal(stat(folder, &is), 0);
	assert_int_equal(is.st_mode & 07777, 0700);
	control_socket_close(folder, control);
	end_another(stranger);
}

static void a_folder_that_is_not_roots_is_not_used(void **state)
{
	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chown(folder, STRANGER, STRANGER), 0);
	assert_int_equal(keep(-1), -EPERM);
	assert_non_null(strstr(error.text, "has to be root's"));
}

static void a_link_is_no_folder(void **state)
{
	(void)state;
	assert_int_equal(symlink("/tmp", folder), 0);
	assert_true(keep(-1) < 0);
	assert_int_equal(access("/tmp/" CONTROL_NAME, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_made_for_root_alone, begin, end),
		cmocka_unit_test_setup_teardown(what_is_in_order_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(one_that_is_very_busy_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(what_a_dead_one_left_is_replaced, begin, end),
		cmocka_unit_test_setup_teardown(another_daemons_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(who_ends_removes_his_own_file_only, begin, end),
		cmocka_unit_test_setup_teardown(a_stranger_gives_way, begin, end),
		cmocka_unit_test_setup_teardown(a_folder_that_is_not_roots_is_not_used, begin, end),
		cmocka_unit_test_setup_teardown(a_link_is_no_folder, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
