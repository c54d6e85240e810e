// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/client/route/affinity.h"
#include "base/hash.h"

/* What the request says of itself; length 0: nothing. */
static struct http_slice word_of(const struct config_balance *balance, const struct http_head *head,
				 const char *data)
{
	const struct http_field *field = NULL;

	if (balance->key == KEY_COOKIE)
		return http_cookie_find(head, data, balance->key_name);
	if (balance->key == KEY_HEADER)
		field = http_field_find(head, data, balance->key_name);
	return field ? http_slice(data, field->value) : (struct http_slice){0};
}

uint64_t affinity_key(const struct client *client, const struct upstream_pool *pool,
		      const struct http_head *head, const char *data)
{
	const struct config_balance *balance = upstream_balance(pool);
	struct http_slice word = {0};

	if (balance->policy != BALANCE_HASH)
		return 0;
	if (head)
		word = word_of(balance, head, data);
	return word.length ? hash_bytes(word.at, word.length)
			   : hash_bytes(&client->source, sizeof(client->source));
}
