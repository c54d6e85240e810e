// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/guard/conduct.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"

enum {
	SLOTS = 4, /* a set's records fill a cache line */
	SETS = 8192,
};

struct record {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic uint64_t settled_ns;
};

struct conduct {
	__u64 seed[2];
	_Atomic uint64_t latest_ns; /* of all records: later nothing is held against anybody */
	_Alignas(64) struct record record[SETS][SLOTS];
};

struct conduct *conduct_create(void)
{
	struct conduct *conduct = aligned_alloc(64, sizeof(*conduct));

	if (!conduct)
		return NULL;
	memset(conduct, 0, sizeof(*conduct));
	if (getrandom(conduct->seed, sizeof(conduct->seed), 0) != sizeof(conduct->seed)) {
		free(conduct);
		return NULL;
	}
	return conduct;
}

void conduct_free(struct conduct *conduct)
{
	free(conduct);
}

struct conduct_terms conduct_terms_of(const struct live *live, bool overloaded)
{
	uint64_t borne = live->value[FW_SET_SOURCE_FAULTS];
	uint64_t fault_ns = live_ns(live, FW_SET_SOURCE_FAULT_TIME);

	if (!borne)
		return (struct conduct_terms){0};
	if (overloaded)
		borne = borne > CONDUCT_OVERLOAD_DIVISOR ? borne / CONDUCT_OVERLOAD_DIVISOR : 1;
	return (struct conduct_terms){
		.fault_ns = fault_ns,
		.borne_ns = borne * fault_ns,
		.most_ns = live_ns(live, FW_SET_SOURCE_EXCLUSION),
	};
}

uint32_t conduct_parts_of(enum fw_verdict verdict, bool overloaded)
{
	switch (verdict_rows[verdict].fault) {
	case FAULT_MISUSE:
		return CONDUCT_MISUSE;
	case FAULT_HOARD:
		return overloaded ? CONDUCT_FAULT : 0;
	case FAULT_ABUSE:
		return CONDUCT_ABUSE_FAULTS * CONDUCT_FAULT;
	case FAULT_NONE:
		break;
	}
	return 0;
}

static uint64_t hash_of(const struct conduct *conduct, const struct fw_addr *source,
			uint32_t service)
{
	return fw_hash_at(conduct->seed, source, service, FW_LEVEL_SOURCE) | 1;
}

static size_t set_of(uint64_t hash)
{
	return hash >> 32 & (SETS - 1);
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Its slot; SLOTS: it has none. */
static size_t find(const struct record *set, uint64_t hash)
{
	size_t slot = 0;

	while (slot < SLOTS && load(&set[slot].hash) != hash)
		slot++;
	return slot;
}

/* Its record, or a new one in the place of the least guilty. Two threads may make one each, or one
 * take what another has just found: then a fault is forgotten, or held against somebody who has as
 * many. */
static struct record *take(struct record *set, uint64_t hash)
{
	size_t slot = find(set, hash), least = 0;

	if (slot < SLOTS)
		return &set[slot];
	for (slot = 1; slot < SLOTS; slot++)
		if (load(&set[slot].settled_ns) < load(&set[least].settled_ns))
			least = slot;
	atomic_store_explicit(&set[least].settled_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&set[least].hash, hash, memory_order_relaxed);
	return &set[least];
}

static void extend(_Atomic uint64_t *word, uint64_t to)
{
	uint64_t was = load(word);

	while (was < to && !atomic_compare_exchange_weak(word, &was, to))
		;
}

/* Until when a source is kept out whose record says @settled_ns; 0: it is not. */
static uint64_t shut_until(struct conduct_terms terms, uint64_t settled_ns, uint64_t now_ns)
{
	uint64_t until_ns = settled_ns > terms.borne_ns ? settled_ns - terms.borne_ns : 0;

	if (!terms.fault_ns || until_ns <= now_ns)
		return 0;
	return until_ns < now_ns + terms.most_ns ? until_ns : now_ns + terms.most_ns;
}

/* When a record would be settled with @parts more. Beyond what is borne nothing is less than a
 * fault: of those who are back all the time each has then to wait as long. */
static uint64_t add_parts(struct conduct_terms terms, uint64_t settled_ns, uint32_t parts,
			  uint64_t now_ns)
{
	uint64_t from_ns = settled_ns > now_ns ? settled_ns : now_ns;
	uint64_t to_ns = from_ns + parts * terms.fault_ns / CONDUCT_FAULT;

	if (parts < CONDUCT_FAULT && to_ns > now_ns + terms.borne_ns)
		to_ns = from_ns + terms.fault_ns;
	return to_ns;
}

uint64_t conduct_blame(struct conduct *conduct, const struct fw_addr *source, uint32_t service,
		       struct conduct_terms terms, uint32_t parts, uint64_t now_ns)
{
	uint64_t hash = hash_of(conduct, source, service);
	uint64_t furthest_ns = now_ns + terms.borne_ns + terms.most_ns, was_ns, to_ns;
	struct record *record;

	if (!terms.fault_ns)
		return 0;
	record = take(conduct->record[set_of(hash)], hash);
	was_ns = load(&record->settled_ns);
	do {
		to_ns = add_parts(terms, was_ns, parts, now_ns);
		if (to_ns > furthest_ns)
			to_ns = furthest_ns;
	} while (!atomic_compare_exchange_weak(&record->settled_ns, &was_ns, to_ns));
	extend(&conduct->latest_ns, to_ns);
	return shut_until(terms, to_ns, now_ns);
}

void conduct_praise(struct conduct *conduct, const struct fw_addr *source, uint32_t service,
		    struct conduct_terms terms, uint64_t now_ns)
{
	uint64_t forgiven_ns = CONDUCT_PRAISE_FAULTS * terms.fault_ns, was_ns, to_ns;
	struct record *set;
	uint64_t hash;
	size_t slot;

	if (load(&conduct->latest_ns) <= now_ns)
		return;
	hash = hash_of(conduct, source, service);
	set = conduct->record[set_of(hash)];
	slot = find(set, hash);
	if (slot == SLOTS)
		return;
	was_ns = load(&set[slot].settled_ns);
	do {
		to_ns = was_ns > now_ns + forgiven_ns ? was_ns - forgiven_ns : 0;
	} while (was_ns > now_ns &&
		 !atomic_compare_exchange_weak(&set[slot].settled_ns, &was_ns, to_ns));
}

bool conduct_has_faults(const struct conduct *conduct, const struct fw_addr *source,
			uint32_t service, uint64_t then_ns)
{
	/* By terms that bear none it would be kept out for as long as its record is not settled. */
	const struct conduct_terms terms = {.fault_ns = 1, .most_ns = UINT64_MAX - then_ns};

	return conduct_shut_until(conduct, source, service, terms, then_ns);
}

uint64_t conduct_shut_until(const struct conduct *conduct, const struct fw_addr *source,
			    uint32_t service, struct conduct_terms terms, uint64_t now_ns)
{
	const struct record *set;
	uint64_t hash;
	size_t slot;

	if (load(&conduct->latest_ns) <= now_ns + terms.borne_ns)
		return 0;
	hash = hash_of(conduct, source, service);
	set = conduct->record[set_of(hash)];
	slot = find(set, hash);
	return slot < SLOTS ? shut_until(terms, load(&set[slot].settled_ns), now_ns) : 0;
}
