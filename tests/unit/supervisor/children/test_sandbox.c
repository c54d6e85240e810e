/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child can still do, tried from inside: each try is a process that enters the sandbox and
 * ends with a status. The tries need root, as the supervisor has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "supervisor/children/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) /* such builds have no filter of system calls */
#define FILTERED false
#else
#define FILTERED true
#endif

static const struct sandbox closed = {.user = "nobody", .uses_maps = false};
static const struct sandbox reader = {.user = "nobody", .uses_maps = true};

/* Its wait status. @attempt returns the exit status; 99: the sandbox could not be entered. */
static int inside(const struct sandbox *sandbox, int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct error error;

		_exit(sandbox_enter(sandbox, &error) < 0 ? 99 : attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_works(const struct sandbox *sandbox, int (*attempt)(void))
{
	int status = inside(sandbox, attempt);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* An attempt that returns errno. */
static void assert_denied(const struct sandbox *sandbox, int (*attempt)(void), int code)
{
	int status = inside(sandbox, attempt);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

/* --- rights ---------------------------------------------------------------------------------- */

static int is_nobody(void)
{
	return getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0;
}

static int become_root(void)
{
	return outcome(setresuid(0, 0, 0));
}

static int has_new_privs(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static int read_shadow(void)
{
	return outcome(open("/etc/shadow", O_RDONLY));
}

static void test_the_user_is_another_for_good(void **state)
{
	(void)state;
	assert_works(&closed, is_nobody);
	assert_works(&closed, has_new_privs);
	assert_denied(&closed, become_root, EPERM);
	assert_denied(&closed, read_shadow, EACCES);
}

static void test_a_user_that_is_not_there_is_refused(void **state)
{
	const struct sandbox unknown = {.user = "no-such-user"};
	struct error error;

	(void)state;
	assert_int_equal(sandbox_enter(&unknown, &error), -ENOENT);
	assert_string_equal(error.text, "sandbox: this machine has no user \"no-such-user\"");
	assert_int_equal(getuid(), 0);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void *do_nothing(void *context)
{
	return context;
}

static int start_thread(void)
{
	pthread_t thread;
	int result = pthread_create(&thread, NULL, do_nothing, NULL);

	return result ? result : pthread_join(thread, NULL);
}

static int open_tcp(void)
{
	int v4 = socket(AF_INET, SOCK_STREAM, 0), v6 = socket(AF_INET6, SOCK_STREAM, 0);

	return v4 < 0 || v6 < 0;
}

static int read_file(void)
{
	return outcome(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
}

static int allocate(void)
{
	char *memory = malloc(64 << 20);

	if (!memory)
		return ENOMEM;
	memset(memory, 1, 64 << 20);
	free(memory);
	return 0;
}

static void test_what_a_server_needs_works(void **state)
{
	(void)state;
	assert_works(&closed, start_thread);
	assert_works(&closed, open_tcp);
	assert_works(&closed, read_file);
	assert_works(&closed, allocate);
}

static int fork_itself(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static int write_file(void)
{
	return outcome(open("/tmp/floodwall-sandbox-test", O_WRONLY | O_CREAT, 0600));
}

static int open_unix(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int open_packet(void)
{
	return outcome(socket(AF_PACKET, SOCK_RAW, 0));
}

static int raise_limit(void)
{
	struct rlimit limit = {1024, 1024};

	return outcome(setrlimit(RLIMIT_NOFILE, &limit));
}

static int kill_parent(void)
{
	return outcome(kill(getppid(), 0));
}

static void test_what_it_does_not_need_is_denied(void **state)
{
	(void)state;
	assert_denied(&closed, fork_itself, EPERM);
	assert_denied(&closed, write_file, EPERM);
	assert_denied(&closed, open_unix, EPERM);
	assert_denied(&closed, open_packet, EPERM);
	assert_denied(&closed, raise_limit, EPERM);
	assert_denied(&closed, kill_parent, EPERM);
}

static int start_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int trace(void)
{
	return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void test_what_only_an_intruder_tries_ends_it(void **state)
{
	int (*const attempts[])(void) = {start_program, trace};

	(void)state;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int status = inside(&closed, attempts[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

/* --- maps ------------------------------------------------------------------------------------ */

static int map; /* opened before, as a child finds it */

static int look_up(void)
{
	uint32_t key = 0;
	uint64_t value = 0;
	union bpf_attr attr = {
		.map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};

	return outcome(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr))) ?: value != 7;
}

static int update(void)
{
	uint32_t key = 0;
	uint64_t value = 8;
	union bpf_attr attr = {
		.map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};

	return outcome(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)));
}

static void test_maps_are_read_by_the_reader_alone(void **state)
{
	union bpf_attr make = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
	uint32_t key = 0;
	uint64_t seven = 7;
	union bpf_attr attr = {.key = (uintptr_t)&key, .value = (uintptr_t)&seven};

	(void)state;
	map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &make, sizeof(make));
	assert_true(map >= 0);
	attr.map_fd = (uint32_t)map;
	assert_int_equal(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)), 0);
	assert_works(&reader, look_up);
	if (FILTERED) {
		assert_denied(&reader, update, EPERM);
		assert_denied(&closed, look_up, EPERM);
	}
	close(map);
}

int main(void)
{
	const struct CMUnitTest rights[] = {
		cmocka_unit_test(test_the_user_is_another_for_good),
		cmocka_unit_test(test_a_user_that_is_not_there_is_refused),
		cmocka_unit_test(test_what_a_server_needs_works),
		cmocka_unit_test(test_maps_are_read_by_the_reader_alone),
	};
	const struct CMUnitTest calls[] = {
		cmocka_unit_test(test_what_it_does_not_need_is_denied),
		cmocka_unit_test(test_what_only_an_intruder_tries_ends_it),
	};
	int failed = cmocka_run_group_tests(rights, NULL, NULL);

	if (FILTERED)
		failed += cmocka_run_group_tests(calls, NULL, NULL);
	return failed;
}
