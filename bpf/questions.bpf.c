// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Questions: takes note of what this host asks, so that the filter knows an answer from a reflected
 * one. At TC egress, where addresses and ports are as the other end will see them: what containers
 * ask has been translated (NAT) by then. It changes nothing, and drops only what is to be heard by
 * nobody (silent.h).
 *
 * Noted are UDP packets to ports that reflectors answer from, echo requests, and the SYNs of hosts
 * behind this one; its own have a socket that the filter can look for. And so are the services that
 * hosts behind this one answer for (behind.h), and what the stack has no connection for (strays.h).
 */
#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "behind.h"
#include "callers.h"
#include "pressure.h"
#include "questions.h"
#include "rate.h"
#include "service.h"
#include "silent.h"
#include "strays.h"

#define FRAGMENT_OFFSET 0x1fff

/* Counted from the network header: whatever tags or link layer are before it don't matter. */
#define READ(skb, offset, to)                                                                      \
	(bpf_skb_load_bytes_relative(skb, offset, to, sizeof(*(to)), BPF_HDR_START_NET) == 0)

/* Reads the addresses, and how many hops are left. Where the transport header is; 0: there is none
 * to be read. An IPv6 question with extension headers is not noted. */
static __always_inline __u32 read_network(struct __sk_buff *skb, struct fw_question *question,
					  __u8 *hops)
{
	struct ipv6hdr v6;
	struct iphdr v4;

	if (!READ(skb, 0, &v4))
		return 0;
	if (v4.version == 4 && !(v4.frag_off & bpf_htons(FRAGMENT_OFFSET))) {
		question->local = (struct fw_addr){{0, 0, bpf_htonl(0xffff), v4.saddr}};
		question->remote = (struct fw_addr){{0, 0, bpf_htonl(0xffff), v4.daddr}};
		question->proto = v4.protocol;
		*hops = v4.ttl;
		return v4.ihl * 4;
	}
	if (v4.version != 6 || !READ(skb, 0, &v6))
		return 0;
	__builtin_memcpy(&question->local, &v6.saddr, sizeof(question->local));
	__builtin_memcpy(&question->remote, &v6.daddr, sizeof(question->remote));
	question->proto = v6.nexthdr;
	*hops = v6.hop_limit;
	return sizeof(v6);
}

/* Whether a server of this host answers a question: whoever forges those would fill the table with
 * what its answers go to. */
static __always_inline bool is_servers_answer(struct __sk_buff *skb, __u32 offset,
					      const struct udphdr *udp)
{
	enum question_form form = questions_form(udp->source);
	__u8 message[4];

	return (form == QUESTION_DNS || form == QUESTION_NTP) &&
	       form == questions_form(udp->dest) && READ(skb, offset + sizeof(*udp), &message) &&
	       !questions_ask(form, message);
}

static __always_inline bool read_udp(struct __sk_buff *skb, __u32 offset,
				     struct fw_question *question)
{
	struct udphdr udp;

	if (!READ(skb, offset, &udp) || questions_form(udp.dest) == QUESTION_FOREIGN ||
	    is_servers_answer(skb, offset, &udp))
		return false;
	question->local_port = udp.source;
	question->remote_port = udp.dest;
	return true;
}

static __always_inline bool read_echo(struct __sk_buff *skb, __u32 offset, __u8 request,
				      struct fw_question *question)
{
	struct packet_icmp icmp;

	if (!READ(skb, offset, &icmp) || icmp.type != request)
		return false;
	question->proto = IPPROTO_ICMP;
	question->local_port = icmp.id; /* the same place in both families */
	return true;
}

/* A segment that another host sends through this one. A SYN is a question; whatever a service sends
 * tells that it isn't here, unless the segment goes back to where it came from: there anybody may
 * call himself the service. */
static __always_inline bool read_forwarded(struct __sk_buff *skb, __u32 offset,
					   struct fw_question *question)
{
	struct fw_service_key service = {.addr = question->local, .proto = IPPROTO_TCP};
	struct tcphdr tcp;

	if (!READ(skb, offset, &tcp))
		return false;
	question->local_port = tcp.source;
	question->remote_port = tcp.dest;
	if (tcp.syn && !tcp.ack)
		return true;
	service.port = tcp.source;
	if (skb->ingress_ifindex != skb->ifindex && !behind_renew(&service) &&
	    service_find(&service) != FW_HOST_SERVICE)
		behind_note(&service);
	return false;
}

/* A segment of this host's own. */
static __always_inline void read_own(struct __sk_buff *skb, __u32 offset,
				     const struct fw_question *question)
{
	struct fw_service_key place = {.addr = question->local, .proto = IPPROTO_TCP};
	struct tcphdr tcp;

	if (!strays_may_be(skb->len, fw_addr_is_v4(&question->local)) || !READ(skb, offset, &tcp))
		return;
	place.port = tcp.source;
	strays_note(&place, &tcp);
}

static __always_inline bool read_segment(struct __sk_buff *skb, __u32 offset,
					 struct fw_question *question)
{
	if (skb->ingress_ifindex)
		return read_forwarded(skb, offset, question);
	read_own(skb, offset, question);
	return false;
}

/* False: the packet asks nothing that is noted. */
static __always_inline bool read_question(struct __sk_buff *skb, __u32 offset,
					  struct fw_question *question)
{
	switch (question->proto) {
	case IPPROTO_UDP:
		return read_udp(skb, offset, question);
	case IPPROTO_ICMP:
		return read_echo(skb, offset, PACKET_ICMP_ECHO_REQUEST, question);
	case IPPROTO_ICMPV6:
		return read_echo(skb, offset, ICMPV6_ECHO_REQUEST, question);
	case IPPROTO_TCP:
		return read_segment(skb, offset, question);
	default:
		return false;
	}
}

/* Whether the packet is the end of a connection of this host that nobody is to hear of. */
static __always_inline bool ends_silently(struct __sk_buff *skb, __u32 offset, __u8 hops,
					  const struct fw_question *question)
{
	struct fw_service_key place = {.addr = question->local, .proto = IPPROTO_TCP};
	struct tcphdr tcp;

	if (hops != SILENT_HOPS || question->proto != IPPROTO_TCP || skb->ingress_ifindex ||
	    !READ(skb, offset, &tcp))
		return false;
	place.port = tcp.source;
	if (!silent_ends(&place, &tcp))
		return false;
	silent_note(
		silent_place(&question->remote, tcp.dest, tcp.source, bpf_ktime_get_coarse_ns()));
	return true;
}

/* Whether the other side began, by a datagram that nobody had asked it for. */
static __always_inline bool was_called(const struct fw_question *question)
{
	return question->proto == IPPROTO_UDP &&
	       callers_know(callers_place(&question->remote, question->remote_port,
					  question->local_port));
}

SEC("tc")
int floodwall_questions(struct __sk_buff *skb)
{
	struct fw_question question = {};
	__u8 hops = 0;
	__u32 offset = read_network(skb, &question, &hops);

	if (!offset)
		return TC_ACT_UNSPEC;
	if (ends_silently(skb, offset, hops, &question))
		return TC_ACT_SHOT;
	if (read_question(skb, offset, &question))
		questions_note(&question, was_called(&question));
	return TC_ACT_UNSPEC; /* whoever else is attached comes next */
}

char _license[] SEC("license") = "Dual BSD/GPL";
