/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, once. Each is pinned under its own name in /sys/fs/bpf/floodwall/, and every program
 * uses the pinned one. The first is a variable, whose section libbpf makes a map of one element of:
 * what every packet asks is found without a lookup.
 *
 * The loader may change max_entries of those marked "sized at load". Maps marked "mmap" are read by
 * user space without a system call.
 */
#ifndef FLOODWALL_MAPS_H
#define FLOODWALL_MAPS_H

#ifndef FW_LAYOUT_ONLY
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#endif
#include "floodwall.h"

/* Whose maps these are. mmap. */
struct fw_meta meta SEC(".data.meta");

/* Live settings: fw_setting_index(). mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SERVICES_MAX *FW_SETTINGS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} settings SEC(".maps");

/* enum fw_mode per reason. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_VERDICTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} modes SEC(".maps");

/* What a service id stands for. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct fw_service);
} services SEC(".maps");

/* From where a packet goes to a service id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct fw_service_key);
	__type(value, __u32);
} bindings SEC(".maps");

/* Sources that nothing is asked of. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct fw_prefix);
	__type(value, struct fw_list_entry);
} allow SEC(".maps");

/* Sources that nothing is granted to: single addresses, where an automatic block costs one hash
 * insert … sized at load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__type(key, struct fw_addr);
	__type(value, struct fw_list_entry);
} block_hosts SEC(".maps");

/* … and everything wider. Sized at load. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct fw_prefix);
	__type(value, struct fw_list_entry);
} block_prefixes SEC(".maps");

/* Named lists, compiled: struct fw_listing. Empty while there are none. An array that is mapped
 * begins at a page, so each of its elements, a union fw_line, is one cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
			__uint(max_entries, 1);
			__uint(key_size, sizeof(__u32));
			__uint(value_size, FW_LINE_SIZE);
		});
} listing SEC(".maps");

/* Packets that each named list decided, per CPU and list id. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_LISTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} list_packets SEC(".maps");

/* Verified sources. Sized at load; the least recently used give way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct fw_source_key);
	__type(value, struct fw_source);
} sources SEC(".maps");

/* What this host asked. Sized at load; the oldest questions give way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct fw_question);
	__type(value, struct fw_asked);
} questions SEC(".maps");

/* Who spoke to this host from a reflector's port before it was asked: callers.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_CALLERS);
	__type(key, __u32);
	__type(value, __u64);
} callers SEC(".maps");

/* Services that others answer for through this host, and when they last did (CLOCK_MONOTONIC):
 * behind.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct fw_service_key);
	__type(value, __u64);
} behind SEC(".maps");

/* Rates of the host: one GCRA cell for each setting rates.*, at its enum fw_setting. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SETTINGS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} rates SEC(".maps");

/* Rates of everyone else: GCRA cells. An array that is mapped begins at a page, so each of its
 * elements is one cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SKETCH_LINES);
	__type(key, __u32);
	__type(value, struct fw_sketch_line);
} sketch SEC(".maps");

/* Answers sent to addresses that proved nothing, and, in the row of the host, ICMP errors about a
 * peer of this host: the same. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SKETCH_LINES);
	__type(key, __u32);
	__type(value, struct fw_sketch_line);
} answers SEC(".maps");

/* Handshakes that each prefix completed: the same. Nobody forges them, so no flood of forged
 * addresses crowds this one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SKETCH_LINES);
	__type(key, __u32);
	__type(value, struct fw_sketch_line);
} handshakes SEC(".maps");

/* Above what rates sources are challenged, for each service. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct fw_strain);
} strains SEC(".maps");

/* Who is under pressure, and until when. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct fw_pressure);
} pressure SEC(".maps");

/* Who may open no connection for a while. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SHUT_LINES);
	__type(key, __u32);
	__type(value, struct fw_shut_line);
} shut SEC(".maps");

/* Cookie secrets; meta.secret says which is current. One that is not accepted any more is written
 * before it becomes current, so nobody ever reads half a secret. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SECRETS);
	__type(key, __u32);
	__type(value, struct fw_secret);
} secrets SEC(".maps");

/* The host's addresses, as far as packets came to them lately: homes.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_HOMES);
	__type(key, __u32);
	__type(value, struct fw_home);
} homes SEC(".maps");

/* Handshakes that a cookie has just completed, until the stack knows them: arrivals.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_ARRIVALS);
	__type(key, __u32);
	__type(value, __u64);
} arrivals SEC(".maps");

/* Flows of connections that have ended without a word: silent.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SILENT_LINES);
	__type(key, __u32);
	__type(value, struct fw_silent_line);
} silenced SEC(".maps");

/* A service's own gate on unverified attempts: one GCRA cell each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FW_SERVICES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} gates SEC(".maps");

/* Concurrent connections per source and prefix. A power of two, sized at load. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct fw_connection_bucket);
} connections SEC(".maps");

/* What there may be of a network in sources, connections and block_hosts (enum fw_record): two
 * halves, see struct fw_meta. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, (2 << FW_RECORD_BITS) / 64);
	__type(key, __u32);
	__type(value, __u64);
} records SEC(".maps");

/* What each tracked socket was counted as. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fw_socket);
} sockets SEC(".maps");

/* Verdicts per CPU: fw_counter_index(). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_SERVICES_MAX *FW_VERDICTS_MAX);
	__type(key, __u32);
	__type(value, struct fw_counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_SERVICES_MAX *FW_VERDICTS_MAX);
	__type(key, __u32);
	__type(value, struct fw_sampler);
} samplers SEC(".maps");

/* The newest sampled events. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_EVENTS_MAX);
	__type(key, __u32);
	__type(value, struct fw_event);
} events SEC(".maps");

/* The proxy's published figures: fw_board_verdict(), fw_board_metric(). mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_WORKERS_MAX *FW_SERVICES_MAX *(FW_VERDICTS_MAX + FW_METRICS_MAX));
	__type(key, __u32);
	__type(value, __u64);
} board SEC(".maps");

/* Whom the proxy's threads would have shut out. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct fw_complaints);
} complaints SEC(".maps");

/* Servers of upstreams, as the proxy last saw them. mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_SERVERS_MAX);
	__type(key, __u32);
	__type(value, struct fw_server);
} servers SEC(".maps");

#endif
