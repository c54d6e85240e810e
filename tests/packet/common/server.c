// SPDX-License-Identifier: BSD-2-Clause
#include "server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cookie.h"
#include "filter.h"

static int server_bring_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = COOKIE_MTU};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), result;

	result = ioctl(fd, SIOCSIFMTU, &lo);
	lo.ifr_flags = IFF_UP;
	result |= ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return result;
}

int server_begin(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET) || server_bring_up();
}

void server_own(const char *address)
{
	struct in6_ifreq v6 = {.ifr6_prefixlen = 128, .ifr6_ifindex = if_nametoindex("lo")};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct ifreq alias = {0};
	static int aliases;
	int fd, result;

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
		snprintf(alias.ifr_name, sizeof(alias.ifr_name), "lo:%d", ++aliases);
		memcpy(&alias.ifr_addr, &v4, sizeof(v4));
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		result = ioctl(fd, SIOCSIFADDR, &alias);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &v6.ifr6_addr), 1);
		fd = socket(AF_INET6, SOCK_DGRAM, 0);
		result = ioctl(fd, SIOCSIFADDR, &v6);
	}
	assert_true(result == 0 || errno == EEXIST);
	close(fd);
}

void server_receive(const struct frame *segment)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	size_t length = segment->length - segment->ip, i;
	struct frame sent = *segment;
	const uint8_t *bytes = sent.data + sent.ip;
	uint32_t sum = IPPROTO_TCP + segment->length - segment->transport;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	for (i = offsetof(struct iphdr, saddr); i < length; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	frame_tcp(&sent)->check = htons(~(sum + (sum >> 16)));
	assert_int_equal(sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof(to)), length);
	close(fd);
}

int server_listen(const char *address, uint16_t port, int backlog, int protocol)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	const int on = 1, off = 0;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, protocol);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on));
	if (is_v4)
		assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	else {
		assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
		setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	}
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

void server_sysctl(const char *name, int value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%d\n", value) < 0 || fclose(file) != 0)
		fail_msg("cannot write %s", path);
}
