/* SPDX-License-Identifier: BSD-2-Clause */
/* The two families as tests see them: whatever holds for one must hold for the other. */
#ifndef PACKET_FAMILY_H
#define PACKET_FAMILY_H

struct family {
	const char *any;           /* wildcard */
	const char *server;        /* where services listen */
	const char *other;         /* another address of the host */
	const char *client;        /* a source … */
	const char *neighbour;     /* … another of the same prefix (/24, /48) … */
	const char *stranger;      /* … and one of another prefix */
	const char *prefix;        /* that holds client and neighbour */
	const char *wider;         /* that holds prefix, but not stranger */
	const char *client_prefix; /* that holds client alone */
};

static const struct family families[] = {
	{.any = "0.0.0.0",
	 .server = "198.51.100.1",
	 .other = "198.51.100.2",
	 .client = "203.0.113.7",
	 .neighbour = "203.0.113.8",
	 .stranger = "192.0.2.9",
	 .prefix = "203.0.113.0/24",
	 .wider = "203.0.0.0/16",
	 .client_prefix = "203.0.113.7/32"},
	{.any = "::",
	 .server = "2001:db8:1::1",
	 .other = "2001:db8:1::2",
	 .client = "2001:db8:113:5::7",
	 .neighbour = "2001:db8:113:6::8",
	 .stranger = "2001:db8:9999::9",
	 .prefix = "2001:db8:113::/48",
	 .wider = "2001:db8::/36",
	 .client_prefix = "2001:db8:113:5::7/128"},
};

#define for_each_family(family)                                                                    \
	for (const struct family *family = families;                                               \
	     family < families + sizeof(families) / sizeof(families[0]); family++)

#endif
