// SPDX-License-Identifier: BSD-2-Clause
#include "egress.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>
#include "questions.skel.h"

enum { SERVER_PORT = 443 };

/* All but what is the program's own. */
static void share_maps(struct questions_bpf *egress, struct filter *filter)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, egress->obj)
	{
		const char *name = bpf_map__name(map);

		if (strstr(name, "rodata") || strstr(name, "bss"))
			continue;
		assert_int_equal(bpf_map__reuse_fd(map, filter_map(filter, name)), 0);
	}
}

struct questions_bpf *egress_open(struct filter *filter)
{
	struct questions_bpf *egress = questions_bpf__open();

	assert_non_null(egress);
	memcpy((void *)egress->rodata->fw_seed, filter_seed, sizeof(filter_seed));
	share_maps(egress, filter);
	assert_int_equal(questions_bpf__load(egress), 0);
	return egress;
}

void egress_close(struct questions_bpf *egress)
{
	questions_bpf__destroy(egress);
}

int egress_fate(struct questions_bpf *egress, uint32_t ingress, const struct frame *packet)
{
	struct __sk_buff context = {.ifindex = EGRESS_LO, .ingress_ifindex = ingress};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet->data, .data_size_in = packet->length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	int program = bpf_program__fd(egress->progs.floodwall_questions);

	assert_int_equal(bpf_prog_test_run_opts(program, &run), 0);
	return (int)run.retval;
}

struct frame egress_last_word(const struct family *family, uint16_t client_port, uint8_t flags,
			      uint8_t hops, bool stamps)
{
	struct frame packet = frame(.source = family->server, .destination = family->client,
				    .source_port = SERVER_PORT, .destination_port = client_port,
				    .flags = flags, .tcp_options = stamps ? 12 : 0);
	bool v6 = strchr(family->any, ':');

	packet.data[packet.ip + (v6 ? offsetof(struct ipv6hdr, hop_limit)
				    : offsetof(struct iphdr, ttl))] = hops;
	if (stamps)
		memcpy(packet.data + packet.transport + sizeof(struct tcphdr),
		       "\1\1\10\12\1\2\3\4\5\6\7\10", 12);
	return packet;
}
