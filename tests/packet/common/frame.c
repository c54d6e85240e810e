// SPDX-License-Identifier: BSD-2-Clause
#include "frame.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void *frame_append(struct frame *frame, size_t size)
{
	void *place = frame->data + frame->length;

	if (frame->length + size > sizeof(frame->data))
		abort();
	frame->length += size;
	return place;
}

static void frame_append_u16(struct frame *frame, uint16_t value)
{
	value = htons(value);
	memcpy(frame_append(frame, sizeof(value)), &value, sizeof(value));
}

static void frame_add_ethernet(struct frame *frame, const struct frame_spec *spec, uint16_t type)
{
	int i;

	memcpy(frame_append(frame, 12), "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
	for (i = 0; i < spec->vlans; i++) {
		frame_append_u16(frame, i < spec->vlans - 1 ? ETH_P_8021AD : ETH_P_8021Q);
		frame_append_u16(frame, 100 + i);
	}
	frame_append_u16(frame, type);
}

static void frame_add_ipv4(struct frame *frame, const struct frame_spec *spec, int proto)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5 + spec->ip_options / 4,
		.ttl = 64,
		.protocol = proto,
		.frag_off = htons((spec->ip_fragment & 1 ? 0x2000 : 0) | spec->ip_fragment / 8),
	};

	if (inet_pton(AF_INET, spec->source, &ip.saddr) != 1 ||
	    inet_pton(AF_INET, spec->destination, &ip.daddr) != 1)
		abort();
	memcpy(frame_append(frame, sizeof(ip)), &ip, sizeof(ip));
	memset(frame_append(frame, spec->ip_options), 1, spec->ip_options); /* NOP, NOP, … */
}

static void frame_add_ipv6(struct frame *frame, const struct frame_spec *spec, int proto)
{
	const struct frame_extension *extension = spec->extension;
	struct ipv6hdr ip = {.version = 6, .hop_limit = 64};
	uint8_t *bytes;
	int i;

	if (inet_pton(AF_INET6, spec->source, &ip.saddr) != 1 ||
	    inet_pton(AF_INET6, spec->destination, &ip.daddr) != 1)
		abort();
	ip.nexthdr = extension[0].size ? extension[0].type : proto;
	memcpy(frame_append(frame, sizeof(ip)), &ip, sizeof(ip));
	for (i = 0; i < FRAME_EXTENSIONS && extension[i].size; i++) {
		bytes = frame_append(frame, extension[i].size);
		memset(bytes, 0, extension[i].size);
		bytes[0] = i + 1 < FRAME_EXTENSIONS && extension[i + 1].size ? extension[i + 1].type
									     : proto;
		if (extension[i].type == IPPROTO_FRAGMENT) {
			bytes[2] = extension[i].fragment >> 8;
			bytes[3] = extension[i].fragment & 0xff;
		} else if (extension[i].type == IPPROTO_AH) {
			bytes[1] = extension[i].size / 4 - 2;
		} else {
			bytes[1] = extension[i].size / 8 - 1;
		}
	}
}

static void frame_add_transport(struct frame *frame, const struct frame_spec *spec, int proto)
{
	uint16_t source = htons(spec->source_port ? spec->source_port : 40000);
	uint16_t destination = htons(spec->destination_port ? spec->destination_port : 443);
	struct tcphdr tcp = {.source = source, .dest = destination, .window = htons(1024)};
	struct udphdr udp = {.source = source, .dest = destination};

	switch (proto) {
	case IPPROTO_TCP:
		tcp.doff = 5 + spec->tcp_options / 4;
		memcpy(frame_append(frame, sizeof(tcp)), &tcp, sizeof(tcp));
		frame->data[frame->transport + 13] = spec->flags;
		memset(frame_append(frame, spec->tcp_options), 1, spec->tcp_options);
		break;
	case IPPROTO_UDP:
		udp.len = htons(sizeof(udp) + spec->payload);
		memcpy(frame_append(frame, sizeof(udp)), &udp, sizeof(udp));
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		memset(frame_append(frame, 8), 0, 8);
		break;
	}
}

struct frame frame_make(const struct frame_spec *spec)
{
	int proto = spec->proto ? spec->proto : IPPROTO_TCP;
	struct frame frame = {};
	int v6 = strchr(spec->source, ':') != NULL;

	frame_add_ethernet(&frame, spec, v6 ? ETH_P_IPV6 : ETH_P_IP);
	frame.ip = frame.length;
	if (v6)
		frame_add_ipv6(&frame, spec, proto);
	else
		frame_add_ipv4(&frame, spec, proto);
	frame.transport = frame.length;
	frame_add_transport(&frame, spec, proto);
	memset(frame_append(&frame, spec->payload), 'x', spec->payload);
	if (v6)
		frame_ipv6(&frame)->payload_len =
			htons(frame.length - frame.ip - sizeof(struct ipv6hdr));
	else
		frame_ipv4(&frame)->tot_len = htons(frame.length - frame.ip);
	memset(frame_append(&frame, spec->padding), 0, spec->padding);
	return frame;
}

struct iphdr *frame_ipv4(struct frame *frame)
{
	return (void *)(frame->data + frame->ip);
}

struct ipv6hdr *frame_ipv6(struct frame *frame)
{
	return (void *)(frame->data + frame->ip);
}

struct tcphdr *frame_tcp(struct frame *frame)
{
	return (void *)(frame->data + frame->transport);
}

struct udphdr *frame_udp(struct frame *frame)
{
	return (void *)(frame->data + frame->transport);
}
