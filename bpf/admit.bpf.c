// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Admission: whoever returns a cookie gets a request socket, as if the stack itself had sent the
 * SYN-ACK; from there on the stack makes the connection, with every option that was agreed upon and
 * with the data that the segment brought.
 *
 * At TC ingress, since only there a packet can be given a socket. It drops only what brings a valid
 * cookie and yet may not connect, and where no cookie was sent for minutes it costs one load.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "maps.h"
#include "policy.h"
#include "packet.h"
#include "cookie.h"
#include "secrets.h"
#include "segment.h"
#include "sockets.h"
#include "service.h"
#include "pressure.h"
#include "arrivals.h"
#include "judge.h"
#include "emit.h"
#include "kfuncs.h"

static __always_inline long admit_load(void *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes(ctx, offset, to, size);
}

static __always_inline void admit_describe_tcp(const struct tcphdr *tcp, struct packet *packet)
{
	packet->source_port = tcp->source;
	packet->destination.port = tcp->dest;
	packet->tcp_flags = ((const __u8 *)tcp)[13] & PACKET_TCP_FLAGS;
}

/* The stack has taken one VLAN tag away by now. False: it is no segment that could bring a cookie.
 */
static __always_inline bool admit_read(struct __sk_buff *skb, struct packet *packet,
				       struct cookie_segment *segment)
{
	bool is_v4 = skb->protocol == bpf_htons(ETH_P_IP);
	union segment_headers headers;

	*packet = (struct packet){
		.source.length = 128,
		.destination.proto = IPPROTO_TCP,
		.known = PACKET_TCP,
		.length = skb->len,
		.ifindex = skb->ifindex,
	};
	if (!is_v4 && skb->protocol != bpf_htons(ETH_P_IPV6))
		return false;
	if (!segment_read(skb, admit_load, ETH_HLEN, is_v4, &headers, segment))
		return false;
	if (is_v4) {
		packet->source.addr =
			(struct fw_addr){{0, 0, bpf_htonl(0xffff), headers.v4.ip.saddr}};
		packet->destination.addr =
			(struct fw_addr){{0, 0, bpf_htonl(0xffff), headers.v4.ip.daddr}};
		admit_describe_tcp(&headers.v4.tcp, packet);
	} else {
		__builtin_memcpy(&packet->source.addr, &headers.v6.ip.saddr,
				 sizeof(packet->source.addr));
		__builtin_memcpy(&packet->destination.addr, &headers.v6.ip.daddr,
				 sizeof(packet->destination.addr));
		admit_describe_tcp(&headers.v6.tcp, packet);
	}
	return packet_may_complete(packet);
}

static __always_inline struct bpf_tcp_req_attrs admit_agreed(const struct cookie_options *options,
							     const struct fw_secret *secret)
{
	bool scales = options->window_scale != COOKIE_NO_SCALE;

	return (struct bpf_tcp_req_attrs){
		.mss = options->mss,
		.wscale_ok = scales,
		.snd_wscale = scales ? options->window_scale : 0,
		.rcv_wscale = scales ? secret->window_scale : 0,
		.sack_ok = options->sack,
		.ecn_ok = options->ecn,
		.tstamp_ok = options->timestamps,
		.rcv_tsval = options->timestamps ? options->tsval : 0,
		.rcv_tsecr = options->timestamps ? options->tsecr : 0,
	};
}

/* Gives the packet a request socket of @listener. */
static __always_inline void admit_assign(struct __sk_buff *skb, const struct packet *packet,
					 const struct cookie_segment *segment,
					 const struct fw_secret *secret, struct sock *listener)
{
	struct bpf_tcp_req_attrs agreed = admit_agreed(&segment->options, secret);

	if (listener && bpf_sk_assign_tcp_reqsk(skb, listener, &agreed, sizeof(agreed)) != 0)
		emit_fault(packet, FW_REQUEST_SOCKET);
}

/*
 * What becomes of a cookie that came back to a listener. Segments that follow in the same batch may
 * bring it again; the stack makes one connection of it, and they are the connection's. The filter
 * has judged it, if it had reason to look: under pressure.
 */
static __always_inline enum fw_verdict admit_judge(const struct packet *packet,
						   const struct cookie_segment *segment,
						   struct bpf_sock *listener, bool *again)
{
	struct arrival arrival = arrivals_place(packet, segment->ack);
	__u64 word = arrivals_word(arrival);
	enum fw_verdict verdict;

	*again = arrivals_is_admitted(word);
	if (*again)
		return FW_NONE;
	if (!word) {
		verdict = judge_proof(packet, bpf_ktime_get_ns());
		if (verdict != FW_NONE)
			return verdict;
	}
	if (sockets_queue_is_full(listener) && emit_enforces(packet, FW_QUEUE_FULL)) {
		arrivals_forget(arrival);
		return FW_QUEUE_FULL;
	}
	arrivals_write(arrival, true);
	return FW_NONE;
}

/* Whether the packet goes on to the stack. */
static __always_inline bool admit(struct __sk_buff *skb, struct packet *packet,
				  const struct cookie_segment *segment,
				  const struct fw_secret *secret)
{
	struct bpf_sock *sk = sockets_find(skb, packet);
	enum fw_verdict verdict = FW_NONE;
	bool again = false;

	if (!sk)
		return true;
	if (sk->state == BPF_TCP_LISTEN) {
		packet->service = service_find(&packet->destination);
		verdict = admit_judge(packet, segment, sk, &again);
		if (verdict == FW_NONE && !again)
			admit_assign(skb, packet, segment, secret,
				     (struct sock *)bpf_skc_to_tcp_sock(sk));
	}
	bpf_sk_release(sk);
	if (verdict == FW_NONE)
		return true;
	emit_verdict(packet, verdict);
	return false;
}

SEC("tc")
int floodwall_admit(struct __sk_buff *skb)
{
	struct cookie_segment segment;
	struct fw_secret *secret;
	struct packet packet;

	if (!pressure_cookies_expected() || !admit_read(skb, &packet, &segment))
		return TC_ACT_OK;
	cookie_read_options(&segment);
	secret = secrets_check(&packet, &segment, bpf_ktime_get_ns());
	return !secret || admit(skb, &packet, &segment, secret) ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
