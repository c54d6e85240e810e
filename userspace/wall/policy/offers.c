// SPDX-License-Identifier: BSD-2-Clause
#include "wall/policy/offers.h"
#include <stdio.h>
#include "base/sysctl.h"

#define SCALE_MAX 14

/* As the kernel chooses it for a socket that it answers for itself (tcp_select_initial_window). */
uint32_t offers_window_scale(void)
{
	unsigned long space = sysctl_number("net.ipv4.tcp_rmem", 2, 6291456);
	unsigned long most = sysctl_number("net.core.rmem_max", 0, 212992);
	uint32_t scale = 0;

	if (most > space)
		space = most;
	while (space > 65535 && scale < SCALE_MAX) {
		space >>= 1;
		scale++;
	}
	return scale;
}

/* In the order of enum fw_offer. */
static const struct {
	const char *sysctl, *name;
	unsigned long otherwise;
} offers[] = {
	{"net.ipv4.tcp_window_scaling", "window scaling", 1},
	{"net.ipv4.tcp_sack", "SACK", 1},
	{"net.ipv4.tcp_timestamps", "timestamps", 1},
	{"net.ipv4.tcp_ecn", "ECN", 2},
};

#define OFFERS (sizeof(offers) / sizeof(offers[0]))

uint32_t offers_bits(void)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < OFFERS; i++)
		bits |= (uint32_t)(sysctl_number(offers[i].sysctl, 0, offers[i].otherwise) != 0)
			<< i;
	return bits;
}

bool wall_cookies_differ(struct wall *wall, char *how, size_t size)
{
	uint32_t scale = offers_window_scale(), bits = offers_bits();
	struct wall_secret said;
	size_t used = 0;

	how[0] = '\0';
	if (wall_secret(wall, &said, NULL) < 0 || !said.made_ns)
		return false;
	for (size_t i = 0; i < OFFERS; i++)
		if ((bits ^ said.offers) >> i & 1 && used < size)
			used += (size_t)snprintf(how + used, size - used, "%s%s is %s (%s)",
						 used ? ", " : "", offers[i].name,
						 bits >> i & 1 ? "on" : "off", offers[i].sysctl);
	if (scale != said.window_scale && used < size)
		used += (size_t)snprintf(how + used, size - used,
					 "%sthe window scale is %u, not %u (net.ipv4.tcp_rmem, "
					 "net.core.rmem_max)",
					 used ? ", " : "", scale, said.window_scale);
	return used > 0;
}
