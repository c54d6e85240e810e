/* SPDX-License-Identifier: BSD-2-Clause */
/* See rates.h. */
#include <netinet/in.h>
#include "rates.h"

int rates_setup(void **state)
{
	struct filter *filter;
	int service;

	filter_setup(state);
	filter = *state;
	for_each_family(family)
	{
		filter_bind(filter, SERVICE, family->any, 443, IPPROTO_TCP);
		filter_bind(filter, OTHER_SERVICE, family->any, 80, IPPROTO_TCP);
	}
	for (service = SERVICE; service <= OTHER_SERVICE; service++) {
		filter_set(filter, service, FW_SET_SOURCE_SYN_RATE, 0);
		filter_set(filter, service, FW_SET_PREFIX_SYN_RATE, 0);
		filter_set(filter, service, FW_SET_SERVICE_SYN_RATE, 0);
	}
	return 0;
}

static void rates_expect(struct filter *filter, const struct family *family, int attempts,
			 enum fw_verdict verdict)
{
	struct frame syn =
		frame(.source = family->client, .destination = family->server, .flags = FRAME_SYN);

	while (attempts--)
		filter_expect_frame(filter, SERVICE, verdict, &syn);
}

void rates_expect_burst(struct filter *filter, const struct family *family, int burst,
			enum fw_verdict passed, enum fw_verdict refused)
{
	rates_expect(filter, family, burst, passed);
	rates_expect(filter, family, 1, refused);
	filter_age(filter, FILTER_SECOND / 2);
	rates_expect(filter, family, 1, refused);
	filter_age(filter, FILTER_SECOND / 2);
	rates_expect(filter, family, 1, passed);
	rates_expect(filter, family, 1, refused);
	filter_age(filter, 2 * FILTER_SECOND);
	rates_expect(filter, family, 2, passed);
	rates_expect(filter, family, 1, refused);
	filter_age(filter, 1000 * FILTER_SECOND);
	rates_expect(filter, family, burst, passed);
	rates_expect(filter, family, 1, refused);
}
