// SPDX-License-Identifier: BSD-2-Clause
#include "challenge.h"
#include <netinet/in.h>
#include <string.h>

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

struct frame challenge_proof(struct filter *filter, const struct family *family, const char *source,
			     uint16_t port, uint32_t isn)
{
	const unsigned int options = COOKIE_COMBINATIONS - 1;
	struct frame asked = cookie_syn(source, family->server, options), answer;
	const __be16 number = htons(port);

	memcpy(asked.data + asked.transport, &number, sizeof(number));
	frame_tcp(&asked)->seq = htonl(ntohl(frame_tcp(&asked)->seq) + isn);
	answer = filter_answer_of(filter, &asked);
	asked = cookie_ack(&asked, &answer, options, 0);
	frame_tcp(&asked)->seq = htonl(ntohl(frame_tcp(&asked)->seq) + isn);
	memcpy(asked.data + asked.transport, &number, sizeof(number));
	return asked;
}
