/* SPDX-License-Identifier: BSD-2-Clause */
/* Where tests of rates start: two services that limit nothing, for a test to limit what it is
 * about. */
#ifndef PACKET_RATES_H
#define PACKET_RATES_H

#include "filter.h"
#include "family.h"

enum { SERVICE = 1, OTHER_SERVICE = 2 };

/* For cmocka: *@state becomes the filter. */
int rates_setup(void **state);

/* One attempt from @from to the service, and what becomes of it. */
#define attempt(verdict, from)                                                                     \
	filter_expect(filter, SERVICE, verdict, .source = from, .destination = family->server,     \
		      .flags = FRAME_SYN)

#endif
