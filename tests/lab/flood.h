/* SPDX-License-Identifier: BSD-2-Clause */
/* What flood.c tells flood.bpf.c: the parts of a packet that never change, and what to draw. */
#ifndef LAB_FLOOD_H
#define LAB_FLOOD_H

#include <linux/types.h>

/*
 * Bytes after the IP header. TCP: 20 of header, and options: as a Linux client sends them, as a
 * Windows client does, or no more than one word of them. UDP: 8 of header and 16 of data.
 */
#define FLOOD_LINUX_SIZE   40
#define FLOOD_WINDOWS_SIZE 32
#define FLOOD_BARE_SIZE    24

struct flood_plan {
	__u8 ethernet[14];
	__u8 is_v6;
	__u8 proto;          /* IPPROTO_TCP, IPPROTO_UDP, or the family's ICMP */
	__u8 type, code;     /* of ICMP */
	__u8 flags;          /* of TCP: the header's byte 13 */
	__u8 size;           /* of the segment or datagram: one of the above */
	__u8 mirror;         /* source is the destination, port and all (LAND) */
	__be16 port;         /* destination port */
	__be16 source_port;  /* 0: drawn */
	__be32 from[4];      /* the prefix that sources are of; IPv4 uses the first word */
	__be32 host_bits[4]; /* set where an address is drawn */
	__be32 to[4];
	__u32 sources;  /* how many addresses are drawn from; 0: all that host_bits spans */
	__u32 counted;  /* the word of the address in which these are counted */
	__u32 ifindex;  /* of the interface to send by */
	__u32 anywhere; /* from has length 0: keep to unicast addresses */
};

#endif
