// SPDX-License-Identifier: BSD-2-Clause
#include "challenge.h"
#include <netinet/in.h>

int challenge_begin(void **state)
{
	return server_begin(state) || server_listen("::", LISTENER_PORT, 16, 0) < 0;
}

int challenge_setup(void **state, enum fw_tier tier)
{
	struct filter *filter = filter_load_challenging(tier);

	*state = filter;
	for_each_family(family)
	{
		filter_bind(filter, SERVICE, family->any, LISTENER_PORT, IPPROTO_TCP);
		filter_bind(filter, OTHER_SERVICE, family->any, OTHER_PORT, IPPROTO_TCP);
	}
	filter_set(filter, SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
	filter_set(filter, OTHER_SERVICE, FW_SET_CHALLENGE_MODE, FW_CHALLENGE_ALWAYS);
	return 0;
}

struct frame challenge_syn(const struct family *family, unsigned int options)
{
	return cookie_syn(family->client, family->server, options);
}
