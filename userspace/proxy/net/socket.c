// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/socket.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "contract/address.h"

int socket_prepare_listening(int fd)
{
	int on = 1;

	/* Linux hands it down to accepted sockets: no call for each of them. */
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* accept(2): network errors that a connection met while it waited come out here. */
static bool concerns_connection(int code)
{
	switch (code) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

int socket_accept(int fd, struct fw_addr *source, uint16_t *port)
{
	struct sockaddr_storage peer;
	socklen_t size;
	int client;

	for (;;) {
		size = sizeof(peer);
		client = accept4(fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			*source = address_from_sockaddr((struct sockaddr *)&peer, port);
			return client;
		}
		if (!concerns_connection(errno))
			return -errno;
	}
}

int socket_connect(const struct fw_addr *addr, uint16_t port)
{
	struct sockaddr_storage peer;
	socklen_t size = address_to_sockaddr(addr, port, &peer);
	int on = 1, code, fd;

	fd = socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&peer, size) == 0 || errno == EINPROGRESS)
		return fd;
	code = -errno;
	close(fd);
	return code;
}

struct fw_addr socket_local(int fd, uint16_t *port)
{
	struct sockaddr_storage own = {0};
	socklen_t size = sizeof(own);

	getsockname(fd, (struct sockaddr *)&own, &size);
	return address_from_sockaddr((struct sockaddr *)&own, port);
}

void socket_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

uint32_t socket_unread(int fd)
{
	int count;

	return ioctl(fd, SIOCINQ, &count) == 0 && count > 0 ? (uint32_t)count : 0;
}

uint32_t socket_untaken(int fd)
{
	int count;

	return ioctl(fd, SIOCOUTQ, &count) == 0 && count > 0 ? (uint32_t)count : 0;
}

void socket_silence(int fd)
{
	int hops = 1;

	/* The one or the other: whether it is IPv6 or not, the kernel has no use for the wrong one.
	 */
	setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
}

int socket_queue(int fd, uint32_t *waiting, uint32_t *most)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return -errno;
	/* Linux tells the queue of a socket that listens in these. */
	*waiting = info.tcpi_unacked;
	*most = info.tcpi_sacked;
	return 0;
}
