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

/* With a rate of one a second the family's client gets its burst, then one a second, and however
 * long it rests it saves up no more than the burst. */
void rates_expect_burst(struct filter *filter, const struct family *family, int burst,
			enum fw_verdict passed, enum fw_verdict refused);

#endif
