/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames, made from a description: what is not said is the ordinary thing. A test makes a good
 * frame and then breaks what it is about, through the offsets.
 */
#ifndef PACKET_FRAME_H
#define PACKET_FRAME_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_SIZE = 4096,
	FRAME_EXTENSIONS = 8,

	FRAME_FIN = 0x01,
	FRAME_SYN = 0x02,
	FRAME_RST = 0x04,
	FRAME_PSH = 0x08,
	FRAME_ACK = 0x10,
	FRAME_URG = 0x20,
	FRAME_ECE = 0x40,
	FRAME_CWR = 0x80,
};

/* An IPv6 extension header; its size in bytes is a multiple of 8 (of 4 for AH), at least 8. */
struct frame_extension {
	uint8_t type; /* the protocol number that stands for it */
	uint16_t size;
	uint16_t fragment; /* of a fragment header: offset in bytes | 1 if more follow */
};

struct frame_spec {
	const char *source, *destination; /* IPv4 or IPv6, both alike */
	uint16_t source_port;             /* default 40000 */
	uint16_t destination_port;        /* default 443 */
	int proto;                        /* default IPPROTO_TCP */
	uint8_t flags;                    /* of TCP */
	uint8_t vlans;                    /* tags; the outermost of several is 802.1ad */
	uint8_t ip_options, tcp_options;  /* bytes, a multiple of 4 */
	uint16_t ip_fragment;             /* IPv4: offset in bytes | 1 if more follow */
	uint16_t payload;                 /* bytes after the transport header */
	uint16_t padding;                 /* bytes after the IP packet */
	struct frame_extension extension[FRAME_EXTENSIONS];
};

struct frame {
	size_t length;
	size_t ip, transport; /* offsets */
	uint8_t align[2];     /* so that what follows 14 bytes of Ethernet is aligned */
	uint8_t data[FRAME_SIZE];
};

struct frame frame_make(const struct frame_spec *spec);
#define frame(...) frame_make(&(struct frame_spec){__VA_ARGS__})

struct iphdr *frame_ipv4(struct frame *frame);
struct ipv6hdr *frame_ipv6(struct frame *frame);
struct tcphdr *frame_tcp(struct frame *frame);
struct udphdr *frame_udp(struct frame *frame);

#endif
