/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which secret a cookie is made with, and which ones it is accepted under: the current one, and for
 * a while those before, so that a new secret breaks no handshake that is under way.
 *
 * No stage, but the ground under challenge.h and admit.bpf.c.
 */
#ifndef FLOODWALL_SECRETS_H
#define FLOODWALL_SECRETS_H

#include "cookie.h"
#include "maps.h"

static __always_inline __u32 secrets_index(void)
{
	return meta.secret % FW_SECRETS;
}

static __always_inline struct fw_secret *secrets_current(void)
{
	__u32 index = secrets_index();

	return bpf_map_lookup_elem(&secrets, &index);
}

/* The secret under which the segment's cookie is valid, the newest first, or NULL. The options are
 * read; they become those of the connection. */
static __always_inline struct fw_secret *secrets_check(const struct packet *packet,
						       struct cookie_segment *segment, __u64 now)
{
	__u32 current = secrets_index(), index, age;
	struct fw_secret *secret;

	for (age = 0; age < FW_SECRETS; age++) {
		index = (current + FW_SECRETS - age) % FW_SECRETS;
		secret = bpf_map_lookup_elem(&secrets, &index);
		if (secret && (age == 0 || secret->until_ns > now) &&
		    cookie_check(secret, packet, segment, now + secret->clock_ns))
			return secret;
	}
	return NULL;
}

#endif
