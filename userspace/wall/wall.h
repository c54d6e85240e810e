/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wall: the one handle on the filter in the kernel. Nothing else in Floodwall calls libbpf or
 * libxdp, or knows where maps are pinned.
 *
 * Every function works with no daemon running. Functions return 0 or −errno and explain themselves
 * in @error; reads that can't fail return their value. A wall may be used by one thread at a time,
 * except where a function says otherwise.
 */
#ifndef WALL_WALL_H
#define WALL_WALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "floodwall.h"
#include "config/config.h"
#include "contract/rows.h"

struct wall;

/* --- life (wall/wall.c, attach.c, interfaces.c) ---------------------------------------------- */

enum wall_mode { WALL_AUTO, WALL_NATIVE, WALL_GENERIC };

/* Opens the pinned maps. −ENOENT: there are none (says how to attach); −EPROTO: another layout. */
int wall_open(struct wall **wall, struct error *error);
/*
 * The same, but makes and pins the maps first where there are none, and starts tracking; where
 * tracking runs already its program is replaced. @cgroup NULL: where it runs, or else the root of
 * the cgroup-v2 mount.
 */
int wall_open_or_create(struct wall **wall, const struct config_sizes *sizes, const char *cgroup,
			struct error *error);
void wall_close(struct wall *wall); /* NULL is allowed */

#define WALL_BEST_TIER (-1) /* where an enum fw_tier may be asked for */
#define WALL_WHY_SIZE  160
#define WALL_WHYS_SIZE (2 * WALL_WHY_SIZE + 32) /* of two tiers */

/* An interface and what runs on it. */
struct wall_interface {
	char name[16];
	int index;
	bool attached;     /* by us */
	bool native;       /* else generic */
	char fallback[80]; /* why auto took generic; empty otherwise */
	enum fw_tier tier; /* how newcomers can be challenged there */
	bool admits;       /* admission is there: without it nobody gets in by tier own */
	char tier_why[WALL_WHYS_SIZE]; /* why it is no better one; only from wall_attach() */
	bool asks;          /* what leaves is noted, so that unsolicited answers can be told */
	char asks_why[120]; /* why not; only from wall_attach() */
};

/* Whether the interface's driver takes VLAN tags off before the filter sees them, and a VLAN device
 * is on it: @vlan becomes its name. */
bool wall_hides_vlan(const char *interface, char vlan[16]);

/*
 * Loads the filter against the wall's maps and attaches it. All or nothing: if one interface
 * refuses, none is changed. Where the filter runs already its program is replaced. A program that
 * is not ours is never touched: −EBUSY names it. @interfaces names in, modes and tiers out. @tier:
 * enum fw_tier, −ENOTSUP if there is none such to be had; or WALL_BEST_TIER.
 */
int wall_attach(struct wall *wall, struct wall_interface *interfaces, size_t count,
		enum wall_mode mode, int tier, struct error *error);
/* Detaches from the named interfaces (@count 0: from all of them). */
int wall_detach(struct wall *wall, const char *const *interfaces, size_t count,
		struct error *error);
/* Every interface the filter runs on. *@list is malloc'd, the caller frees it. */
int wall_interfaces(struct wall *wall, struct wall_interface **list, size_t *count,
		    struct error *error);

/* A program of ours, where it runs. */
struct wall_program {
	char name[16];   /* as the kernel has it, cut to 15 characters */
	char place[256]; /* an interface, "cgroup", or else what its link's pin is called */
	uint32_t id;
	uint8_t tag[8]; /* of its instructions */
};
/* Every one of them, by place; *@list is malloc'd (wall/programs.c). */
int wall_programs(struct wall *wall, struct wall_program **list, size_t *count,
		  struct error *error);
/*
 * Puts the programs that are built in here in the place of those that run, as wall_attach() does:
 * maps, interfaces, modes and tiers stay, and no packet goes unfiltered. The same ones stay, unless
 * @unchanged_too.
 */
int wall_upgrade(struct wall *wall, bool unchanged_too, struct error *error);

/* Whether these maps are still those that others find; not after floodwall detach --all. */
bool wall_is_pinned(const struct wall *wall);
bool wall_is_tracking(struct wall *wall); /* sock_ops is attached */
/* Stops tracking and unpins every map: policy and counts are gone. The wall must still be closed.
 */
int wall_remove(struct wall *wall, struct error *error);
/* The same for maps that wall_open() refuses (−EPROTO), and detaches their filter everywhere. */
int wall_discard(struct error *error);

/* Where a map is pinned: "/sys/fs/bpf/floodwall/settings". Static storage per name. */
const char *wall_pin_path(const char *map);

/* --- tiers (wall/tier.c) ---------------------------------------------------------------------- */

/* Whether this kernel can do it, whatever its sysctls say; @why it can't. */
bool wall_tier_is_possible(enum fw_tier tier, char why[WALL_WHY_SIZE]);
/* What keeps better ones than @tier from being had now; "": nothing. */
void wall_tier_lacks(enum fw_tier tier, char why[WALL_WHYS_SIZE]);

/* A sysctl that is not as a tier wants it. */
struct wall_sysctl {
	const char *name;
	char value[32]; /* now */
	const char *wanted;
	bool required; /* the tier can't be had without; else it does less, or worse */
	const char *why;
};
#define WALL_SYSCTLS_MAX 4
size_t wall_sysctls(enum fw_tier tier, struct wall_sysctl list[WALL_SYSCTLS_MAX]);

/* Whether cookies still offer what the sysctls said when they were made ready (attach, reload);
 * @how: what is different now. */
bool wall_cookies_differ(struct wall *wall, char *how, size_t size);

/* --- policy (wall/settings.c, wall/services.c, wall/lists.c) ---------------------------------- */

uint64_t wall_setting(struct wall *wall, uint32_t service, enum fw_setting setting); /* clamped */
int wall_set(struct wall *wall, uint32_t service, enum fw_setting setting, uint64_t value,
	     struct error *error);
/* The live table itself, for readers that look at it with every packet or request; read-only, any
 * thread. */
const volatile uint64_t *wall_settings_table(struct wall *wall);

/* One load, any thread. */
enum fw_mode wall_rule_mode(struct wall *wall, enum fw_verdict verdict);
int wall_set_rule_mode(struct wall *wall, enum fw_verdict verdict, enum fw_mode mode,
		       struct error *error);

/* Id of the service with that name; −ENOENT. "host" is service 0. */
int wall_service_find(struct wall *wall, const char *name, struct error *error);
/* false: the id is free. */
bool wall_service(struct wall *wall, uint32_t id, struct fw_service *service);
/*
 * Makes or updates a service so that exactly these bindings lead to it. A new one starts with the
 * default settings. Returns its id. −EEXIST: a binding belongs to another service (named);
 * −ENOSPC: FW_SERVICES_MAX reached.
 */
int wall_service_put(struct wall *wall, const char *name, enum fw_service_kind kind,
		     const struct fw_service_key *bindings, size_t count, struct error *error);
int wall_service_remove(struct wall *wall, const char *name, struct error *error);
/* Bindings of a service; *@list is malloc'd. */
int wall_service_bindings(struct wall *wall, uint32_t id, struct fw_service_key **list,
			  size_t *count, struct error *error);

enum wall_list { WALL_ALLOW, WALL_BLOCK };
/* Adds or replaces. @seconds 0: for ever. −ENOSPC: the list is full (says how large it is). */
int wall_list_add(struct wall *wall, enum wall_list list, const struct fw_prefix *prefix,
		  uint64_t seconds, const char *note, enum fw_verdict cause, struct error *error);
int wall_list_remove(struct wall *wall, enum wall_list list, const struct fw_prefix *prefix,
		     struct error *error); /* −ENOENT */
/* Calls @each for every entry that has not expired, until it returns non-zero, which is returned.
 */
int wall_list_each(struct wall *wall, enum wall_list list,
		   int (*each)(void *context, const struct fw_prefix *prefix,
			       const struct fw_list_entry *entry),
		   void *context, struct error *error);
/* Removes what has expired. Returns how many. */
int wall_list_expire(struct wall *wall, enum wall_list list, struct error *error);

/* --- what is on record (wall/records.c) ------------------------------------------------------- */

/* In which tables the filter looks for sources of @addr's network: of enum fw_record. */
uint32_t wall_records_of(struct wall *wall, const struct fw_addr *addr);
/* If more than one in @share bits is set (a network has two): forgets those about whom there is
 * nothing any more. 1 if so, 0 if there was no need, or −EIO. */
int wall_records_tidy(struct wall *wall, unsigned int share, struct error *error);

/* --- named lists (wall/named.c) --------------------------------------------------------------- */

/* Lists of any size that are loaded whole and replaced whole; struct fw_listing. */
struct wall_named {
	struct fw_list row;
	uint64_t packets; /* that the list decided since its name was first loaded */
};

struct wall_listing {
	struct wall_named list[FW_LISTS_MAX];
	size_t count;
	uint64_t bytes;         /* kernel memory of all lists together */
	uint32_t granularity_s; /* seconds that expiries are rounded up to */
};

/*
 * Loads a list, in place of the one of that name if there is one, and says what it is now. Every
 * packet sees the lists as they were before or as they are after. @entries are reordered. On an
 * error nothing has changed. −EINVAL: not a name; −ENOSPC: FW_LISTS_MAX; −ENOMEM.
 */
int wall_named_load(struct wall *wall, const char *name, enum fw_list_action action,
		    struct fw_listed *entries, size_t count, struct wall_named *loaded,
		    struct error *error);
/* A list that is to be loaded; @entries are reordered. */
struct wall_named_new {
	const char *name;
	enum fw_list_action action;
	bool from_file; /* the configuration names it */
	struct fw_listed *entries;
	size_t count;
};
/* Drops lists and loads others, all in one step; on an error nothing has changed. −ENOENT: one that
 * was to be dropped is not there; else as wall_named_load(). */
int wall_named_change(struct wall *wall, const struct wall_named_new *loads, size_t load_count,
		      const char *const *drops, size_t drop_count, struct error *error);
int wall_named_drop(struct wall *wall, const char *name, struct error *error); /* −ENOENT */
/* Gives back the memory of entries that have expired (they count no more as it is). Returns how
 * many there were. */
int wall_named_expire(struct wall *wall, struct error *error);
int wall_named_all(struct wall *wall, struct wall_listing *listing, struct error *error);
int wall_named_find(struct wall *wall, const char *name, struct wall_named *named,
		    struct error *error); /* −ENOENT */
/* Calls @each for every entry, in order, until it returns non-zero, which is returned. −ENOENT. */
int wall_named_each(struct wall *wall, const char *name,
		    int (*each)(void *context, const struct fw_listed *entry), void *context,
		    struct error *error);

/* --- the secret of SYN cookies (wall/secrets.c) ----------------------------------------------- */

struct wall_secret {
	uint64_t made_ns;     /* CLOCK_REALTIME; 0: there is none yet */
	bool shared;          /* with other hosts, from a file */
	uint32_t fingerprint; /* the same on all hosts that take each other's cookies; tells nothing
				 of the secret */
	uint32_t window_scale, offers; /* enum fw_offer */
	size_t accepted;               /* secrets before it that are still accepted */
	uint64_t room_ns; /* CLOCK_MONOTONIC: until then another one would need @force; 0: not */
};

/* What there is to say of the current secret, but what it is. 0 or −errno. */
int wall_secret(struct wall *wall, struct wall_secret *said, struct error *error);
/*
 * A new secret: the one in @file, which other hosts have too, or (NULL) a random one. Cookies of
 * those before are taken for as long as they may come back. −EBUSY: there is no room for one more
 * of them (says for how long); with @force the oldest is forgotten.
 */
int wall_rekey(struct wall *wall, const char *file, bool force, struct error *error);
/* Follows steps of the wall clock, by which hosts that share a secret agree. Call it every few
 * seconds. 1: there was one; 0: none. */
int wall_secret_keep_time(struct wall *wall, struct error *error);

/* --- policy from the file (wall/apply.c) ------------------------------------------------------ */

/*
 * Makes the services, bindings, settings and rule modes what @config says. What an earlier
 * file named and this one does not is removed; services added by hand stay. With @keep_live the
 * settings of services that exist already are left alone (a restarted daemon must not undo what an
 * operator tuned live). Everything is checked before the first write.
 */
int wall_apply(struct wall *wall, const struct config *config, bool keep_live, struct error *error);

/*
 * Loads the lists that @config names from their files (wall/list_files.c), all in one step, and
 * drops those that an earlier configuration named and this one does not. One whose file can't be
 * read stays as it is. With @keep_live only those are loaded that are not there. Returns how many
 * could not be loaded; @diagnostics has lines for each.
 */
size_t wall_lists_apply(struct wall *wall, const struct config *config, bool keep_live,
			struct error *diagnostics);
/* Only reads the files: how many could not be loaded, with the same lines. */
size_t wall_lists_check(const struct config *config, struct error *diagnostics);

/* --- what was seen (wall/counters.c, pressure.c, events.c, connections.c) -------------------- */

/* Every CPU's counters of every service, added up: [fw_counter_index()]. @sums has FW_SERVICES_MAX
 * * FW_VERDICTS_MAX entries. */
int wall_counters(struct wall *wall, struct fw_counter *sums, struct error *error);

/* Whether newcomers to a service are challenged now, and for how long if no more of them come. */
bool wall_pressure(struct wall *wall, uint32_t service, uint64_t now_ns, uint64_t *left_ns);

/* As if a newcomer had just exceeded the service's challenge.rate: for whoever runs short of what
 * newcomers need. */
int wall_pressure_raise(struct wall *wall, uint32_t service, uint64_t now_ns, struct error *error);

/* Reads events from *@sequence (0: the oldest kept) on; advances it. Returns how many, at most
 * @max; @lost adds those overwritten before they were read. */
size_t wall_events(struct wall *wall, uint64_t *sequence, struct fw_event *events, size_t max,
		   uint64_t *lost);

/* A source or prefix and its connections now. */
struct wall_holder {
	struct fw_prefix prefix;
	uint32_t service;
	enum fw_level level;
	uint64_t connections;
};
/* All holders at @level, most connections first; *@list is malloc'd. */
int wall_holders(struct wall *wall, enum fw_level level, struct wall_holder **list, size_t *count,
		 struct error *error);
/* Connections of @addr at @level on @service: one cache line, no system call, any thread. */
uint64_t wall_connections(struct wall *wall, const struct fw_addr *addr, uint32_t service,
			  enum fw_level level);

/* How full a table is: for status. */
struct wall_usage {
	const char *name;
	uint64_t used, size;
};
#define WALL_USAGE_COUNT 8
int wall_usage(struct wall *wall, struct wall_usage list[WALL_USAGE_COUNT], struct error *error);

/* --- the proxy's board (wall/board.c) --------------------------------------------------------- */

/* The board, writable; index with fw_board_verdict(), fw_board_metric(). One writer per worker row.
 */
volatile uint64_t *wall_board(struct wall *wall);
uint64_t wall_board_verdict(struct wall *wall, uint32_t service, enum fw_verdict verdict);
uint64_t wall_board_metric(struct wall *wall, uint32_t service, enum fw_metric metric);

/* --- who is shut out (wall/shut.c) ------------------------------------------------------------ */

/* @source may open no connection to a service until then. Again: the time is another. For one
 * process at a time. */
int wall_shut(struct wall *wall, const struct fw_addr *source, uint32_t service, uint64_t until_ns,
	      struct error *error);
/* Until when it may not; in the past, or 0: it may. Any thread. */
uint64_t wall_shut_until(const struct wall *wall, const struct fw_addr *source, uint32_t service);
/* How many there are. */
uint64_t wall_shut_count(const struct wall *wall, uint64_t now_ns);
/* FW_WORKERS_MAX rings, each for its worker to write. */
volatile struct fw_complaints *wall_complaints(struct wall *wall);

/* --- servers of upstreams (wall/servers.c) ---------------------------------------------------- */

/* FW_SERVERS_MAX rows, for the newest proxy to write. */
volatile struct fw_server *wall_servers(struct wall *wall);
/* A copy of those in use, in the configuration's order; returns how many. A name's places without
 * an address are left out, unless all are. */
size_t wall_server_list(struct wall *wall, struct fw_server list[FW_SERVERS_MAX]);

#endif
