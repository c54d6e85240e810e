// SPDX-License-Identifier: BSD-2-Clause
#include "frames.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>
#include "measure.h"

enum { CLIENT_ISN = 1, TIMESTAMPS = 12 };

/* MSS, SACK, timestamps, no-op, window scale; later timestamps alone. */
static const unsigned char syn_options[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					      0, 1, 0, 0,    0, 0, 1, 3,  3, 7};
static const unsigned char data_options[TIMESTAMPS] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1};

static void append(struct frame *frame, const void *data, unsigned int length)
{
	memcpy(frame->bytes + frame->length, data, length);
	frame->length += length;
}

static void append_ip(struct frame *frame, const char *source, const char *server, __u16 payload)
{
	struct ipv6hdr v6 = {.version = 6,
			     .payload_len = htons(payload),
			     .nexthdr = IPPROTO_TCP,
			     .hop_limit = 64};
	struct iphdr v4 = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons(sizeof(v4) + payload),
			   .frag_off = htons(0x4000), /* don't fragment */
			   .ttl = 64,
			   .protocol = IPPROTO_TCP};

	if (inet_pton(AF_INET, source, &v4.saddr) == 1 &&
	    inet_pton(AF_INET, server, &v4.daddr) == 1)
		append(frame, &v4, sizeof(v4));
	else if (inet_pton(AF_INET6, source, &v6.saddr) == 1 &&
		 inet_pton(AF_INET6, server, &v6.daddr) == 1)
		append(frame, &v6, sizeof(v6));
	else
		fail("%s, %s: not addresses of one family", source, server);
}

struct frame frame_make(const char *source, const char *server, __u16 port, enum frame_kind kind)
{
	bool syn = kind != FRAME_DATA;
	unsigned int options = syn ? sizeof(syn_options) : sizeof(data_options);
	struct ethhdr eth = {.h_dest = {2, 0, 0, 0, 0, 1},
			     .h_source = {2, 0, 0, 0, 0, 2},
			     .h_proto = htons(strchr(source, ':') ? ETH_P_IPV6 : ETH_P_IP)};
	struct tcphdr tcp = {.source = htons(FRAME_CLIENT_PORT),
			     .dest = htons(port),
			     .seq = htonl(CLIENT_ISN),
			     .ack_seq = htonl(syn ? 0 : 1),
			     .doff = (sizeof(tcp) + options) / 4,
			     .syn = syn,
			     .ack = !syn,
			     .ece = kind == FRAME_SYN_ECN,
			     .cwr = kind == FRAME_SYN_ECN,
			     .window = htons(502)};
	struct frame frame = {.length = 0};

	append(&frame, &eth, sizeof(eth));
	append_ip(&frame, source, server, sizeof(tcp) + options);
	append(&frame, &tcp, sizeof(tcp));
	append(&frame, syn ? syn_options : data_options, options);
	return frame;
}

struct frame frame_complete(const struct frame *syn, const struct frame *answer)
{
	const unsigned int cut = sizeof(syn_options) - TIMESTAMPS;
	const unsigned int at = syn->length - sizeof(syn_options) - sizeof(struct tcphdr);
	const unsigned int length_at = at == ETH_HLEN + sizeof(struct iphdr)
					       ? ETH_HLEN + offsetof(struct iphdr, tot_len)
					       : ETH_HLEN + offsetof(struct ipv6hdr, payload_len);
	struct frame frame = *syn;
	struct tcphdr tcp, got;
	__be16 length;

	memcpy(&got, answer->bytes + at, sizeof(got));
	memcpy(&tcp, syn->bytes + at, sizeof(tcp));
	tcp.syn = tcp.ece = tcp.cwr = 0;
	tcp.ack = 1;
	tcp.seq = htonl(CLIENT_ISN + 1);
	tcp.ack_seq = htonl(ntohl(got.seq) + 1);
	tcp.doff = (sizeof(tcp) + TIMESTAMPS) / 4;
	memcpy(frame.bytes + at, &tcp, sizeof(tcp));
	memcpy(frame.bytes + at + sizeof(tcp), data_options, TIMESTAMPS);
	/* Their TSval, behind MSS, SACK and its own two bytes, comes back as TSecr. */
	memcpy(frame.bytes + at + sizeof(tcp) + 8, answer->bytes + at + sizeof(tcp) + 8, 4);
	memcpy(&length, syn->bytes + length_at, sizeof(length));
	length = htons(ntohs(length) - cut);
	memcpy(frame.bytes + length_at, &length, sizeof(length));
	frame.length -= cut;
	return frame;
}
