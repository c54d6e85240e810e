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
