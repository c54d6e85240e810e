/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the wall's own files share: the open maps, the lock, and a few words with the kernel.
 *
 * A wall holds every descriptor and mapping from the moment it is opened, so that the process may
 * drop its privileges afterwards.
 */
#ifndef WALL_INTERNAL_H
#define WALL_INTERNAL_H

#include "wall/wall.h"

#define WALL_BPFFS "/sys/fs/bpf"
#define WALL_PINS  WALL_BPFFS "/floodwall"
#define WALL_LINK  WALL_PINS "/link_track" /* pins of links begin with link_ */
#define WALL_MAP_LIST(MAP)                                                                         \
	MAP(META, meta)                                                                            \
	MAP(SETTINGS, settings)                                                                    \
	MAP(MODES, modes)                                                                          \
	MAP(SERVICES, services)                                                                    \
	MAP(BINDINGS, bindings)                                                                    \
	MAP(ALLOW, allow)                                                                          \
	MAP(BLOCK_HOSTS, block_hosts)                                                              \
	MAP(BLOCK_PREFIXES, block_prefixes)                                                        \
	MAP(LISTING, listing)                                                                      \
	MAP(LIST_PACKETS, list_packets)                                                            \
	MAP(SOURCES, sources)                                                                      \
	MAP(QUESTIONS, questions)                                                                  \
	MAP(CALLERS, callers)                                                                      \
	MAP(BEHIND, behind)                                                                        \
	MAP(RATES, rates)                                                                          \
	MAP(SKETCH, sketch)                                                                        \
	MAP(ANSWERS, answers)                                                                      \
	MAP(HANDSHAKES, handshakes)                                                                \
	MAP(STRAINS, strains)                                                                      \
	MAP(PRESSURE, pressure)                                                                    \
	MAP(SHUT, shut)                                                                            \
	MAP(SECRETS, secrets)                                                                      \
	MAP(HOMES, homes)                                                                          \
	MAP(ARRIVALS, arrivals)                                                                    \
	MAP(SILENCED, silenced)                                                                    \
	MAP(GATES, gates)                                                                          \
	MAP(CONNECTIONS, connections)                                                              \
	MAP(RECORDS, records)                                                                      \
	MAP(SOCKETS, sockets)                                                                      \
	MAP(COUNTERS, counters)                                                                    \
	MAP(SAMPLERS, samplers)                                                                    \
	MAP(EVENTS, events)                                                                        \
	MAP(BOARD, board)                                                                          \
	MAP(COMPLAINTS, complaints)                                                                \
	MAP(SERVERS, servers)

/* Every map of maps.h; making them checks that none is missing here. */
enum wall_map {
#define MAP(id, name) MAP_##id,
	WALL_MAP_LIST(MAP)
#undef MAP
		MAP_COUNT,
};

extern const char *const wall_map_names[MAP_COUNT];

/* A pinned map, open. */
struct wall_map_handle {
	int fd;
	uint32_t id;
	uint32_t entries; /* its max_entries */
	void *memory;     /* NULL where it is not mapped */
	size_t size;      /* of the mapping */
};

struct wall {
	int directory; /* of the pins: what wall_lock() locks */
	struct wall_map_handle maps[MAP_COUNT];
	/* Views of the mappings. */
	volatile struct fw_meta *meta;                     /* read-only */
	volatile uint64_t *settings, *modes;               /* read-only */
	volatile struct fw_connection_bucket *connections; /* read-only */
	volatile struct fw_event *events;                  /* read-only */
	volatile uint64_t *board;
	volatile struct fw_server *servers;
	volatile struct fw_complaints *complaints;
	const struct fw_shut_line *shut;   /* read-only */
	struct fw_shut_line *shut_writing; /* mapped when first needed; NULL: not yet */
	uint64_t *records;                 /* as atomics */
	uint32_t connection_mask;
	__u64 seed[2];
	bool spares_same;      /* see program_stays() */
	struct sights *sights; /* of interfaces, by wall_interfaces(); NULL: none yet */
};

/* Serialises what reads, decides and then writes, between processes that opened the wall
 * themselves; a forked child shares its parent's lock. */
void wall_lock(const struct wall *wall);
/* The same for whoever adds to what is pinned; −ENOENT: it was removed meanwhile, and nothing is
 * locked. */
int wall_lock_pinned(const struct wall *wall, struct error *error);
void wall_unlock(const struct wall *wall);

/* bpf(2) on one map; 0 or −errno, with a text that names the map. */
int wall_map_update(struct wall *wall, enum wall_map map, const void *key, const void *value,
		    struct error *error);
int wall_map_lookup(struct wall *wall, enum wall_map map, const void *key, void *value,
		    struct error *error);
/* Every entry there is: *@keys and *@values are malloc'd arrays of *@count. */
int wall_map_dump(struct wall *wall, enum wall_map map, size_t key_size, size_t value_size,
		  void **keys, void **values, size_t *count, struct error *error);

/* Makes, fills and pins the maps, all at once or not at all; −EEXIST: there are some (wall/maps.c).
 */
int wall_maps_make(const struct config_sizes *sizes, struct error *error);
/* Lets an object that is not loaded yet use the wall's maps instead of making its own. 0 or −errno.
 */
struct bpf_object;
int wall_maps_reuse(struct wall *wall, struct bpf_object *object);
/* A writable mapping of a map that is mapped read-only otherwise; munmap() it. NULL: failed. */
void *wall_map_writable(struct wall *wall, enum wall_map map, struct error *error);

/* A name fit for a service; −EINVAL. */
int wall_service_name_check(const char *name, struct error *error);
/* Writes a service's row and its bindings, and takes none away. The lock is held. */
int wall_service_write(struct wall *wall, uint32_t id, const struct fw_service *service,
		       const struct fw_service_key *bindings, size_t count, struct error *error);
/* Takes a service away, bindings first. The lock is held. */
int wall_service_forget(struct wall *wall, uint32_t id, struct error *error);
/* Deletes the bindings that lead to @id, except @kept. The lock is held. */
int wall_service_prune(struct wall *wall, uint32_t id, const struct fw_service_key *kept,
		       size_t count, struct error *error);
/* Makes a free id ready for a new service: default settings, counters at zero. −ENOSPC. The lock is
 * held. */
int wall_service_claim(struct wall *wall, struct error *error);

/* Notes that @what is on record about the network of @addr; the record is in its table already
 * (wall/records.c). 0, or −EIO: it counts for nothing yet. */
int wall_records_note(struct wall *wall, const struct fw_addr *addr, enum fw_record what,
		      struct error *error);

/* Starts tracking, or swaps the program of what tracks already (wall/track.c). */
int wall_track(struct wall *wall, const char *cgroup, struct error *error);

/*
 * Keeps libbpf and libxdp off standard error and remembers what the kernel said through them
 * (wall/words.c). wall_words() is "" or ": what it said", since the last wall_words_forget().
 */
void wall_words_forget(void);
const char *wall_words(void);

#endif
