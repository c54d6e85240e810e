// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tracking: connections of any TCP server in the cgroup, told by the kernel's own sockets.
 *
 * A completed handshake proves that the source receives our packets: it is marked as verified, and
 * counted at its source and prefix until the socket closes (by either side, by reset, by time-out,
 * or with its process). What was counted is remembered with the socket, so a close undoes exactly
 * that; TIME_WAIT is no longer a connection. Sources that a list allows are not counted. Whatever
 * fails is counted, and the connection lives on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "maps.h"
#include "policy.h"
#include "packet.h"
#include "lists.h"
#include "listed.h"
#include "service.h"
#include "connections.h"
#include "judge.h"
#include "rate.h"
#include "pressure.h"
#include "arrivals.h"
#include "emit.h"

/* sys/socket.h is not for the kernel's side. */
enum { TRACK_AF_INET = 2 };

static __always_inline __u64 track_epoch(void)
{
	return meta.epoch;
}

/*
 * The connection, as the packet that opened it. A v4 client of a dual-stack listener has a v6
 * socket with v4-mapped addresses: the form that our keys have anyway.
 *
 * Every field is read whatever the family, and volatile, so that the compiler doesn't choose
 * between addresses of context fields, which the verifier forbids.
 */
static __always_inline void track_describe(volatile struct bpf_sock_ops *ctx, struct packet *packet)
{
	struct fw_addr remote = {
		{ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2], ctx->remote_ip6[3]}};
	struct fw_addr local = {
		{ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3]}};
	__be32 remote_v4 = ctx->remote_ip4, local_v4 = ctx->local_ip4;

	if (ctx->family == TRACK_AF_INET) {
		remote = (struct fw_addr){{0, 0, bpf_htonl(0xffff), remote_v4}};
		local = (struct fw_addr){{0, 0, bpf_htonl(0xffff), local_v4}};
	}
	*packet = (struct packet){
		.source = {.length = 128, .addr = remote},
		.source_port = ctx->remote_port >> 16, /* network order, in the upper half */
		.destination = {.addr = local,
				.port = bpf_htons(ctx->local_port), /* in host order */
				.proto = IPPROTO_TCP},
		.known = PACKET_TCP,
	};
}

/* The source has proved itself. The handshake counts against its rate and its prefix's, unless it
 * was charged for when it brought back a cookie, by acknowledging @ack, or the source is @exempt.
 */
static __always_inline void track_verify(const struct packet *packet, __u32 ack, bool exempt)
{
	__u64 now = bpf_ktime_get_ns();
	struct fw_source *source = rate_prove(packet);

	if (!source)
		emit_fault(packet, FW_SOURCES_FULL);
	if (exempt || arrivals_know(packet, ack))
		return;
	if (source)
		rate_handshake(source, packet->service, now);
	judge_handshake(packet->service, HASH(PREFIX), now);
}

static __always_inline struct fw_connection_owner track_holder(const struct fw_addr *source,
							       __u32 service, enum fw_level level)
{
	return (struct fw_connection_owner){
		.addr = fw_addr_at_level(*source, level),
		.service = service,
		.level = level,
	};
}

static __always_inline bool track_count(const struct packet *packet, enum fw_level level)
{
	struct fw_connection_owner holder =
		track_holder(&packet->source.addr, packet->service, level);

	if (connections_add(&holder))
		return true;
	emit_fault(packet, FW_TRACK_FULL);
	return false;
}

/* Tells the filter that a cap is reached: handshakes that were begun before may be completed now.
 * Those that are completed in the same moment nobody can undo any more. */
static __always_inline void track_watch_cap(const struct packet *packet, enum fw_level level,
					    __u64 cap)
{
	__u64 held;

	if (!cap)
		return;
	held = connections_held(policy_hash(&packet->source.addr, packet->service, level));
	if (held >= cap)
		pressure_watch_caps(packet->service, bpf_ktime_get_ns());
	if (held > cap)
		emit_fault(packet, FW_OVER_CAP);
}

static __always_inline void track_uncount(const struct fw_socket *record, enum fw_level level)
{
	struct fw_connection_owner holder = track_holder(&record->source, record->service, level);

	connections_remove(&holder);
}

/* The socket's record, which its end will find; NULL: there is none, or the end would not be told.
 */
static __always_inline struct fw_socket *track_record(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk ||
	    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG))
		return NULL;
	return bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
}

static __always_inline void track_open(struct bpf_sock_ops *ctx)
{
	__u64 epoch = track_epoch();
	struct fw_socket *record;
	struct packet packet;
	bool exempt;

	track_describe(ctx, &packet);
	packet.service = service_find(&packet.destination);
	if (packet.service == FW_HOST_SERVICE)
		return;
	exempt = lists_exempt(&packet) || listed_exempt(&packet);
	track_verify(&packet, ctx->snd_nxt, exempt);
	if (exempt)
		return; /* nothing is asked of it, so no cap may meet it at accept either */

	/* First whatever makes the close come back to us: a count that nothing undoes is worse than
	 * none. */
	record = track_record(ctx);
	if (!record) {
		emit_fault(&packet, FW_SOCKET_STORAGE);
		return;
	}
	if (record->epoch == epoch && (record->counted_source || record->counted_prefix))
		return; /* by another instance of us, while one replaces the other */
	record->epoch = epoch;
	record->source = packet.source.addr;
	record->service = packet.service;
	record->counted_source = track_count(&packet, FW_LEVEL_SOURCE);
	record->counted_prefix = track_count(&packet, FW_LEVEL_PREFIX);
	track_watch_cap(&packet, FW_LEVEL_SOURCE,
			policy_setting(packet.service, FW_SET_SOURCE_CONNECTIONS));
	track_watch_cap(&packet, FW_LEVEL_PREFIX,
			policy_setting(packet.service, FW_SET_PREFIX_CONNECTIONS));
}

/*
 * A SYN with data makes the connection at once, by Fast Open (RFC 7413). Whoever forges it may have
 * its cookie from when the address was his, and where none is asked for needs none. So it proves
 * nothing and is charged to nobody before the handshake is complete. The socket tells then.
 */
static __always_inline bool track_awaits(struct bpf_sock_ops *ctx)
{
	struct fw_socket *record = ctx->skb_tcp_flags & PACKET_SYN ? track_record(ctx) : NULL;

	if (!record)
		return false;
	record->is_awaited = 1;
	return true;
}

static __always_inline void track_complete(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct fw_socket *record = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;

	if (!record || !record->is_awaited)
		return;
	record->is_awaited = 0;
	track_open(ctx);
}

static __always_inline void track_close(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct fw_socket *record = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;

	if (!record)
		return;
	if (record->epoch == track_epoch()) {
		if (record->counted_source)
			track_uncount(record, FW_LEVEL_SOURCE);
		if (record->counted_prefix)
			track_uncount(record, FW_LEVEL_PREFIX);
	}
	record->counted_source = 0;
	record->counted_prefix = 0;
}

SEC("sockops")
int floodwall_track(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		if (!track_awaits(ctx))
			track_open(ctx);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == BPF_TCP_ESTABLISHED)
			track_complete(ctx);
		else if (ctx->args[1] == BPF_TCP_CLOSE)
			track_close(ctx);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
