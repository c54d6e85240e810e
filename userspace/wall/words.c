/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says through libbpf and libxdp: kept off standard error, where it would drown the
 * answer, and kept for the error text, where it is the reason.
 *
 * The kernel's own message (netlink's extended acknowledgement) is preferred to the libraries'
 * comments on it. FLOODWALL_DEBUG in the environment lets everything through.
 */
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wall/internal.h"

#define KERNEL_SAYS "Kernel error message: "

static __thread char words[160];
static __thread bool from_kernel;

static void remember(bool warning, const char *line)
{
	const char *said = strstr(line, KERNEL_SAYS);

	if (said) {
		from_kernel = true;
		said += strlen(KERNEL_SAYS);
	} else if (warning && !from_kernel && !words[0]) {
		said = strncmp(line, "libbpf: ", 8) == 0 ? line + 8 : line;
	} else {
		return;
	}
	snprintf(words, sizeof(words), ": %.*s", (int)strcspn(said, "\n"), said);
}

static void hear(bool warning, const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	remember(warning, line);
	if (secure_getenv("FLOODWALL_DEBUG"))
		fputs(line, stderr);
}

__attribute__((format(printf, 2, 0))) static int hear_libbpf(enum libbpf_print_level level,
							     const char *format, va_list args)
{
	hear(level == LIBBPF_WARN, format, args);
	return 0;
}

__attribute__((format(printf, 2, 0))) static int hear_libxdp(enum libxdp_print_level level,
							     const char *format, va_list args)
{
	/* libxdp explains what it tries; why something failed is libbpf's and the kernel's to say.
	 */
	(void)level;
	hear(false, format, args);
	return 0;
}

void wall_words_forget(void)
{
	libbpf_set_print(hear_libbpf);
	libxdp_set_print(hear_libxdp);
	words[0] = '\0';
	from_kernel = false;
}

const char *wall_words(void)
{
	return words;
}
