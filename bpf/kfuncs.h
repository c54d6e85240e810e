/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Functions of the kernel that are no helpers: they may be missing, and a program that calls one
 * then doesn't load. The loader looks for them first (wall/admit.c).
 */
#ifndef FLOODWALL_KFUNCS_H
#define FLOODWALL_KFUNCS_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include "sockets.h"

/* What a request socket starts with. The kernel checks the size, and that reserved is zero. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval; /* the client's clock */
	__u32 rcv_tsecr; /* ours: the socket's timestamps go on from here */
	__u16 mss;
	__u8 rcv_wscale;
	__u8 snd_wscale;
	__u8 ecn_ok;
	__u8 wscale_ok;
	__u8 sack_ok;
	__u8 tstamp_ok;
	__u8 usec_ts_ok;
	__u8 reserved[3];
};

/* Linux 6.9, TC ingress: gives the packet a request socket of listener @sk, as if it had sent the
 * SYN-ACK. −EINVAL: an option that the host's sysctls forbid. */
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

#endif
