/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets of SYN cookies, as the maps have them: the ring, terms, fleets, and the wall clock. */
#include <bpf/bpf.h>
#include "../world.h"
#include "base/clock.h"
#include "contract/secret_file.h"
#include "wall/policy/secrets.h"

static char path[] = "/tmp/floodwall-test-secrets-XXXXXX";

static struct fw_secret slot(struct wall *wall, uint32_t index)
{
	struct fw_secret secret;

	index %= FW_SECRETS;
	must(wall_map_lookup(wall, MAP_SECRETS, &index, &secret, &error));
	return secret;
}

static struct fw_secret current(struct wall *wall)
{
	return slot(wall, (uint32_t)wall->meta->secret);
}

static struct wall_secret said(struct wall *wall)
{
	struct wall_secret secret;

	must(wall_secret(wall, &secret, &error));
	return secret;
}

static uint64_t cookies_until(struct wall *wall)
{
	return wall->meta->cookies_ns;
}

/* As if time had passed for those before the current one. */
static void let_expire(struct wall *wall, uint32_t index)
{
	struct fw_secret secret = slot(wall, index);

	index %= FW_SECRETS;
	secret.until_ns = clock_now_ns() - 1;
	must(wall_map_update(wall, MAP_SECRETS, &index, &secret, &error));
}

static void the_first_secret_has_none_before_it(void **state)
{
	struct wall *wall = wall_of(state);

	assert_int_equal(said(wall).made_ns, 0);
	must(secrets_refresh(wall, &error));
	assert_true(current(wall).key[0] || current(wall).key[1]);
	assert_int_equal(said(wall).accepted, 0);
	assert_false(said(wall).shared);
	assert_true(clock_read_ns(CLOCK_REALTIME) - said(wall).made_ns < 10 * CLOCK_SEC);
	assert_int_equal(cookies_until(wall), 0);
	must(secrets_refresh(wall, &error)); /* there is one */
	assert_int_equal(said(wall).accepted, 0);
}

static void each_secret_before_keeps_its_place_and_time(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_secret first;
	uint64_t until;

	must(secrets_refresh(wall, &error));
	first = current(wall);
	for (int i = 1; i < FW_SECRETS; i++) {
		must(wall_rekey(wall, NULL, false, &error));
		assert_int_equal(said(wall).accepted, i);
		assert_memory_equal(slot(wall, (uint32_t)wall->meta->secret + FW_SECRETS - i).key,
				    first.key, sizeof(first.key));
		assert_int_equal(current(wall).until_ns, 0);
	}
	until = slot(wall, (uint32_t)wall->meta->secret + 1).until_ns;
	assert_in_range(until - clock_now_ns(), 110 * CLOCK_SEC, 120 * CLOCK_SEC);
	assert_int_equal(said(wall).room_ns, until);
}

static void without_room_nothing_is_done_unless_forced(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_secret before;

	must(secrets_refresh(wall, &error));
	for (int i = 1; i < FW_SECRETS; i++)
		must(wall_rekey(wall, NULL, false, &error));
	before = current(wall);
	assert_int_equal(wall_rekey(wall, NULL, false, &error), -EBUSY);
	assert_non_null(strstr(error.text, "--force"));
	assert_memory_equal(current(wall).key, before.key, sizeof(before.key));
	must(wall_rekey(wall, NULL, true, &error));
	assert_memory_not_equal(current(wall).key, before.key, sizeof(before.key));
	assert_int_equal(said(wall).accepted, FW_SECRETS - 1);
	let_expire(wall, (uint32_t)wall->meta->secret + 1);
	must(wall_rekey(wall, NULL, false, &error));
}

static void a_shared_secret_is_the_files(void **state)
{
	struct wall *wall = wall_of(state);
	struct wall_secret before;
	uint64_t key[2];

	must(secrets_refresh(wall, &error));
	must(secret_file_write(path, &error));
	must(secret_file_read(path, key, &error));
	must(wall_rekey(wall, path, false, &error));
	before = said(wall);
	assert_true(before.shared);
	assert_int_equal(before.accepted, 1);
	assert_memory_equal(current(wall).key, key, sizeof(key));
	assert_int_equal(cookies_until(wall), ~0ULL);
	/* The same again is nothing new. */
	must(wall_rekey(wall, path, false, &error));
	must(secrets_apply(wall, key, &error));
	must(secrets_refresh(wall, &error));
	assert_int_equal(said(wall).accepted, 1);
	assert_int_equal(said(wall).fingerprint, before.fingerprint);
	/* Who leaves the fleet takes what is under way, for a while. */
	must(secrets_apply(wall, NULL, &error));
	assert_false(said(wall).shared);
	assert_memory_not_equal(current(wall).key, key, sizeof(key));
	assert_in_range(cookies_until(wall) - clock_now_ns(), 110 * CLOCK_SEC, 120 * CLOCK_SEC);
}

static void what_hosts_must_agree_on_shows_in_the_fingerprint(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_secret secret;
	uint32_t index, fingerprint;

	must(secrets_refresh(wall, &error));
	secret = current(wall);
	index = wall->meta->secret % FW_SECRETS;
	fingerprint = said(wall).fingerprint;
	secret.window_scale ^= 1;
	must(wall_map_update(wall, MAP_SECRETS, &index, &secret, &error));
	assert_int_not_equal(said(wall).fingerprint, fingerprint);
	/* The sysctls say otherwise: the same key goes on under their terms. */
	must(secrets_refresh(wall, &error));
	assert_int_equal(said(wall).fingerprint, fingerprint);
	assert_memory_equal(current(wall).key, secret.key, sizeof(secret.key));
	assert_int_equal(said(wall).made_ns, secret.made_ns);
	assert_int_equal(said(wall).accepted, 1);
}

static void a_step_of_the_clock_is_followed(void **state)
{
	struct wall *wall = wall_of(state);
	struct fw_secret secret;
	uint32_t index;
	int64_t clock;

	must(secrets_refresh(wall, &error));
	assert_int_equal(wall_secret_keep_time(wall, &error), 0);
	assert_int_equal(current(wall).clock_ns, 0); /* nobody else's clock matters */
	must(secret_file_write(path, &error));
	must(wall_rekey(wall, path, false, &error));
	assert_int_equal(wall_secret_keep_time(wall, &error), 0);
	secret = current(wall);
	index = wall->meta->secret % FW_SECRETS;
	clock = secret.clock_ns;
	secret.clock_ns += 3600 * (int64_t)CLOCK_SEC;
	must(wall_map_update(wall, MAP_SECRETS, &index, &secret, &error));
	assert_int_equal(wall_secret_keep_time(wall, &error), 1);
	assert_in_range(current(wall).clock_ns - clock + 1000000, 0, 2000000);
	assert_int_equal(wall_secret_keep_time(wall, &error), 0);
}

static int end(void **state)
{
	unlink(path);
	return end_world(state);
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : make_world(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALL_TEST(the_first_secret_has_none_before_it),
		WALL_TEST(each_secret_before_keeps_its_place_and_time),
		WALL_TEST(without_room_nothing_is_done_unless_forced),
		WALL_TEST(a_shared_secret_is_the_files),
		WALL_TEST(what_hosts_must_agree_on_shows_in_the_fingerprint),
		WALL_TEST(a_step_of_the_clock_is_followed),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
