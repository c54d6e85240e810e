// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/tickets.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Slot n % TICKET_KEY_SLOTS holds the n-th key. The one that is written next opens nothing any
 * more, so a reader never sees half a key that matters; and what it may see of one that has just
 * been retired is random again, which nobody can have sealed with. */
struct ticket_keys {
	int fd; /* of the file in memory that this is; the same number in every child */
	atomic_uint newest;
	atomic_uint oldest; /* that opens */
	uint64_t made_ns;   /* the newest */
	struct ticket_key slot[TICKET_KEY_SLOTS];
};

static bool make_key(struct ticket_key *key)
{
	return getrandom(key, sizeof(*key), 0) == sizeof(*key);
}

static struct ticket_keys *map(int fd, struct error *error)
{
	struct ticket_keys *keys =
		mmap(NULL, sizeof(*keys), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (keys == MAP_FAILED) {
		error_set(error, -errno, "session tickets: %s", strerror(errno));
		return NULL;
	}
	madvise(keys, sizeof(*keys), MADV_DONTDUMP);
	keys->fd = fd;
	return keys;
}

struct ticket_keys *tickets_create(uint64_t now_ns, struct error *error)
{
	int fd = memfd_create("floodwall-tickets", MFD_CLOEXEC);
	struct ticket_keys *keys = NULL;

	if (fd < 0 || ftruncate(fd, sizeof(*keys)) < 0)
		error_set(error, -errno, "session tickets: %s", strerror(errno));
	else
		keys = map(fd, error);
	if (!keys) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	keys->made_ns = now_ns;
	if (!make_key(&keys->slot[0])) {
		error_set(error, -EIO, "session tickets: the kernel gives no random numbers");
		tickets_drop(keys);
		return NULL;
	}
	return keys;
}

struct ticket_keys *tickets_adopt(int fd, struct error *error)
{
	struct stat file;

	if (fstat(fd, &file) < 0 || file.st_size != sizeof(struct ticket_keys)) {
		error_set(error, -EINVAL, "session tickets: the keys are of another form");
		return NULL;
	}
	return map(fd, error);
}

int tickets_descriptor(const struct ticket_keys *keys)
{
	return keys->fd;
}

void tickets_drop(struct ticket_keys *keys)
{
	if (!keys)
		return;
	close(keys->fd);
	munmap(keys, sizeof(*keys));
}

bool tickets_rotate(struct ticket_keys *keys, uint64_t now_ns)
{
	unsigned int next = atomic_load(&keys->newest) + 1;
	struct ticket_key *retired;

	if (now_ns - keys->made_ns < TICKET_PERIOD_NS)
		return true;
	if (!make_key(&keys->slot[next % TICKET_KEY_SLOTS]))
		return false;
	keys->made_ns = now_ns;
	atomic_store(&keys->newest, next);
	if (next + 1 - atomic_load(&keys->oldest) > TICKET_KEYS_OPEN) {
		retired = &keys->slot[atomic_fetch_add(&keys->oldest, 1) % TICKET_KEY_SLOTS];
		return make_key(retired);
	}
	return true;
}

void tickets_current(const struct ticket_keys *keys, struct ticket_key *key)
{
	*key = keys->slot[atomic_load(&keys->newest) % TICKET_KEY_SLOTS];
}

int tickets_find(const struct ticket_keys *keys, const uint8_t name[TICKET_NAME_SIZE],
		 struct ticket_key *key)
{
	unsigned int newest = atomic_load(&keys->newest), oldest = atomic_load(&keys->oldest);

	for (unsigned int n = newest;; n--) {
		const struct ticket_key *held = &keys->slot[n % TICKET_KEY_SLOTS];

		if (memcmp(held->name, name, TICKET_NAME_SIZE) == 0) {
			*key = *held;
			return n != newest;
		}
		if (n == oldest)
			return -1;
	}
}
