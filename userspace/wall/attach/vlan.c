/* SPDX-License-Identifier: BSD-2-Clause */
/* VLAN tags that a driver takes off a packet before the filter sees it: answers would leave without
 * one. That harms only where a VLAN device waits on the interface. */
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wall/wall.h"

static bool strips_tags(int fd, const char *interface)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&flags};

	strncpy(request.ifr_name, interface, sizeof(request.ifr_name) - 1);
	return ioctl(fd, SIOCETHTOOL, &request) == 0 && flags.data & ETH_FLAG_RXVLAN;
}

static bool is_vlan_on(int fd, const char *name, const char *interface)
{
	struct vlan_ioctl_args request = {.cmd = GET_VLAN_REALDEV_NAME_CMD};

	strncpy(request.device1, name, sizeof(request.device1) - 1);
	return ioctl(fd, SIOCGIFVLAN, &request) == 0 && strcmp(request.u.device2, interface) == 0;
}

bool wall_hides_vlan(const char *interface, char vlan[16])
{
	struct if_nameindex *names = NULL;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = false;

	vlan[0] = '\0';
	if (fd >= 0 && strips_tags(fd, interface))
		names = if_nameindex();
	for (size_t i = 0; names && names[i].if_index && !found; i++) {
		found = is_vlan_on(fd, names[i].if_name, interface);
		if (found)
			strncpy(vlan, names[i].if_name, 15)[15] = '\0';
	}
	if (names)
		if_freenameindex(names);
	if (fd >= 0)
		close(fd);
	return found;
}
