/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Users and capabilities by libcap-ng, system calls by libseccomp.
 *
 * The filter of system calls is an allow-list. What is not on it answers EPERM, so that a library's
 * unforeseen nicety fails softly; what only an intruder would try (a program, another process's
 * memory) ends the process. Kernels before 5.19 let no unprivileged process read maps by system
 * call: there the warden keeps CAP_BPF.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include "supervisor/children/sandbox.h"

/* AddressSanitizer inspects its own process as a debugger would: such builds, for tests only, stay
 * open to it. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static const int allowed_calls[] = {
	/* sockets */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(socketpair),
	/* descriptors */
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(ioctl),
	SCMP_SYS(lseek),
	SCMP_SYS(pipe2),
	SCMP_SYS(pread64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(sendfile),
	SCMP_SYS(splice),
	SCMP_SYS(statx),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(newfstatat),
	/* waiting */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pselect6),
	SCMP_SYS(select),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	/* time and chance */
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	/* threads */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(membarrier),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	/* about itself */
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getrusage),
	SCMP_SYS(getuid),
	SCMP_SYS(prctl),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

static const int deadly_calls[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(mount),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
};

/* Calls whose one argument decides: allowed if (argument & mask) == value. */
struct conditional_call {
	int call;
	unsigned int argument;
	scmp_datum_t mask, value;
};

#define EXACTLY (~(scmp_datum_t)0)

static const struct conditional_call conditional_calls[] = {
	{SCMP_SYS(openat), 2, O_ACCMODE, O_RDONLY},
	{SCMP_SYS(socket), 0, EXACTLY, AF_INET}, /* raw ones would need a capability */
	{SCMP_SYS(socket), 0, EXACTLY, AF_INET6},
	{SCMP_SYS(prlimit64), 2, EXACTLY, 0},             /* asks, sets nothing */
	{SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD}, /* a thread, no process */
};

/* For the reader of maps. */
static const struct conditional_call map_calls[] = {
	{SCMP_SYS(bpf), 0, EXACTLY, BPF_MAP_LOOKUP_ELEM},
	{SCMP_SYS(bpf), 0, EXACTLY, BPF_MAP_LOOKUP_BATCH},
	{SCMP_SYS(bpf), 0, EXACTLY, BPF_MAP_GET_NEXT_KEY},
	{SCMP_SYS(bpf), 0, EXACTLY, BPF_MAP_DELETE_ELEM},
	{SCMP_SYS(bpf), 0, EXACTLY, BPF_OBJ_GET_INFO_BY_FD},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int result = 0;

	for (size_t i = 0; !result && i < count; i++)
		result = seccomp_rule_add(filter, action, calls[i], 0);
	return result;
}

static int add_conditional(scmp_filter_ctx filter, const struct conditional_call *calls,
			   size_t count)
{
	int result = 0;

	for (size_t i = 0; !result && i < count; i++) {
		const struct scmp_arg_cmp compare = {calls[i].argument, SCMP_CMP_MASKED_EQ,
						     calls[i].mask, calls[i].value};

		result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].call, 1, &compare);
	}
	return result;
}

/* 0, or the first −errno of libseccomp. */
static int add_rules(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	int result = add_calls(filter, SCMP_ACT_ALLOW, allowed_calls, COUNT(allowed_calls));

	if (!result)
		result =
			add_calls(filter, SCMP_ACT_KILL_PROCESS, deadly_calls, COUNT(deadly_calls));
	/* What clone3() does stands in memory, where no filter sees it: the C library then takes
	 * clone(). */
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!result)
		result = add_conditional(filter, conditional_calls, COUNT(conditional_calls));
	if (!result && sandbox->uses_maps)
		result = add_conditional(filter, map_calls, COUNT(map_calls));
	return result;
}

static int restrict_calls(const struct sandbox *sandbox, struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result;

	if (!filter)
		return error_set(error, -ENOMEM, "sandbox: no memory for the filter of calls");
	result = add_rules(filter, sandbox);
	if (!result)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result ? error_set(error, result, "sandbox: seccomp: %s", strerror(-result)) : 0;
}

/* Whether maps can be read by system call without a capability: since 5.19. */
static bool maps_are_open(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 19));
}

static int change_user(const struct sandbox *sandbox, struct error *error)
{
	const struct passwd *user = getpwnam(sandbox->user);
	int result;

	if (!user)
		return error_set(error, -ENOENT, "sandbox: this machine has no user \"%s\"",
				 sandbox->user);
	capng_clear(CAPNG_SELECT_BOTH);
	if (sandbox->uses_maps && !maps_are_open())
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_BPF);
	result = capng_change_id((int)user->pw_uid, (int)user->pw_gid,
				 CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (result)
		return error_set(error, -EPERM, "sandbox: can't become %s (libcap-ng: %d)",
				 sandbox->user, result);
	return 0;
}

int sandbox_enter(const struct sandbox *sandbox, struct error *error)
{
	int result = change_user(sandbox, error);

	if (result < 0)
		return result;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(error, -errno, "sandbox: no_new_privs: %s", strerror(errno));
	if (SANITIZED)
		return 0;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(error, -errno, "sandbox: dumpable: %s", strerror(errno));
	return restrict_calls(sandbox, error);
}
