// SPDX-License-Identifier: BSD-2-Clause
#include "base/account.h"

static bool refuse(struct ledger *ledger, enum shortage shortage)
{
	ledger->shortage = shortage;
	return false;
}

/* As long as each thread's part is within its share, so is the sum: usually one look is enough. */
bool account_source_has(const struct account *account, size_t bytes)
{
	const struct ledger *ledger = account->ledger;
	uint64_t most = ledger->source_most;

	if (!most || !ledger->tallies)
		return true;
	return tally_sum(&ledger->tallies[ledger->thread], 1, account->source) + bytes <=
		       most / ledger->threads ||
	       tally_sum(ledger->tallies, ledger->threads, account->source) + bytes <= most;
}

/* Whether others give some back. */
static bool is_relieved(struct account *account, enum shortage shortage, size_t bytes)
{
	const struct ledger *ledger = account->ledger;

	return ledger->relieve && ledger->relieve(account, shortage, bytes);
}

static bool connection_has(const struct account *account, size_t bytes)
{
	uint32_t most = account->ledger->connection_most;

	return !most || account->held + bytes <= most;
}

/* Whether the connection and its source may have so much more. */
static bool is_within_ceilings(struct account *account, size_t bytes)
{
	struct ledger *ledger = account->ledger;

	if (!connection_has(account, bytes))
		return refuse(ledger, SHORTAGE_CONNECTION);
	if (account_source_has(account, bytes))
		return true;
	if (is_relieved(account, SHORTAGE_SOURCE, bytes) && account_source_has(account, bytes))
		return true;
	return refuse(ledger, SHORTAGE_SOURCE);
}

static void tell_source(const struct account *account, uint32_t amount)
{
	const struct ledger *ledger = account->ledger;

	if (ledger->tallies)
		tally_add(&ledger->tallies[ledger->thread], account->source, amount);
}

static void add(struct account *account, uint32_t amount)
{
	account->held += amount;
	tell_source(account, amount);
}

/* Whether all together may have so much more, if need be because others give some back. */
static bool budget_has_room(struct account *account, size_t bytes)
{
	struct ledger *ledger = account->ledger;

	if (account_budget_has(ledger->budget, bytes))
		return true;
	if (is_relieved(account, SHORTAGE_MEMORY, bytes) &&
	    account_budget_has(ledger->budget, bytes))
		return true;
	return refuse(ledger, SHORTAGE_MEMORY);
}

void account_open(struct account *account, struct ledger *ledger, uint64_t source_hash)
{
	*account = (struct account){.ledger = ledger, .source = tally_place(source_hash)};
}

void account_move(struct account *account, struct ledger *ledger, struct tally_place source)
{
	tell_source(account, -account->held);
	account->ledger = ledger;
	account->source = source;
	tell_source(account, account->held);
}

void account_assign(struct account *account, uint64_t source_hash)
{
	account_move(account, account->ledger, tally_place(source_hash));
}

static bool charge(struct account *account, size_t bytes)
{
	account->ledger->budget->used += bytes;
	add(account, (uint32_t)bytes);
	return true;
}

bool account_charge(struct account *account, size_t bytes)
{
	return is_within_ceilings(account, bytes) && budget_has_room(account, bytes) &&
	       charge(account, bytes);
}

bool account_charge_spare(struct account *account, size_t bytes)
{
	const struct pool_budget *budget = account->ledger->budget;

	return connection_has(account, bytes) && account_source_has(account, bytes) &&
	       budget->used + bytes <= budget->limit / ACCOUNT_PLENTY && charge(account, bytes);
}

void account_discharge(struct account *account, size_t bytes)
{
	account->ledger->budget->used -= bytes;
	add(account, -(uint32_t)bytes);
}

void *account_take(struct account *account, struct pool *pool)
{
	void *object;

	if (!is_within_ceilings(account, pool->size) || !budget_has_room(account, pool->size))
		return NULL;
	object = pool_take(pool);
	if (object)
		add(account, (uint32_t)pool->size);
	else
		refuse(account->ledger, SHORTAGE_MEMORY);
	return object;
}

void account_give(struct account *account, struct pool *pool, void *object)
{
	if (!object)
		return;
	add(account, -(uint32_t)pool->size);
	pool_give(pool, object);
}
