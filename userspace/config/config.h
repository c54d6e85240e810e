/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file (libConfuse blocks), read, checked and turned into one immutable struct.
 *
 * What the file does not say holds the default of its row in settings.def or options.def.
 * Reading has no effect on anything: whoever wants it applied takes the struct and does so.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "config/route.h"
#include "contract/address.h"
#include "contract/rows.h"
#include "floodwall.h"

#define CONFIG_PATH_DEFAULT "/etc/floodwall/floodwall.conf"

/* How large the filter's tables are made; 0: default of maps.h. */
struct config_sizes {
	uint32_t connections; /* sources and prefixes tracked at once; rounded up to a power of two
			       */
	uint32_t sources;     /* verified sources */
	uint32_t blocks;      /* entries of the block list, hosts and wider each */
	uint32_t questions;   /* of this host's that wait for their answers */
};

struct config_filter {
	char **interfaces; /* to attach to; may be none: the proxy alone */
	size_t interface_count;
	const char *mode, *tier; /* words */
	char *cgroup; /* whose TCP servers are tracked; NULL: the root of the cgroup-v2 mount */
	char *cookie_secret; /* file with the secret of a fleet's SYN cookies; NULL: the host's own
			      */
	struct config_sizes sizes;
	bool monitored[FW_VERDICTS_MAX]; /* monitor = {"land", …}: rules in monitor mode */
};

enum {
	/* Generations of the proxy share the board, each with rows of its own: there is room for
	 * three that drain beside the one that serves. */
	CONFIG_THREADS_MAX = FW_WORKERS_MAX / 4,
	CONFIG_SERVERS_MAX = 64, /* of an upstream: a bit each */
	CONFIG_PRIORITIES = 8,   /* the last is a backup's */
};

/*
 * A server. One that has a name, "app.internal:8000", stands here several times, once for each
 * address that the name may have: entry @slot of those. The first of them owns the texts, and the
 * others are copies of it.
 */
struct config_server {
	char *address;       /* as written: "127.0.0.1:8000" */
	char *host;          /* the name; NULL: @addr is its address */
	struct fw_addr addr; /* unless it has a name */
	uint16_t port;       /* host order */
	uint16_t slot;
	uint16_t addresses;       /* as many of which a name may have */
	uint32_t max_connections; /* of all threads; 0: no cap but the upstream's */
	uint16_t weight;          /* its share is in proportion to */
	uint16_t priority;        /* 0 is asked first; written from 1 on */
	bool backup;              /* it has the last */
};

/* By what one of an upstream's servers is chosen. */
enum config_balance_policy {
#define FW_BALANCE(id, word) BALANCE_##id,
#include "config/balance.def"
#undef FW_BALANCE
};

/* What is hashed: requests that have the same in common go to the same server. */
enum config_balance_key { KEY_SOURCE, KEY_HEADER, KEY_COOKIE };

struct config_balance {
	enum config_balance_policy policy;
	enum config_balance_key key;
	char *key_name;         /* of the header, in lower case, or the cookie; else NULL */
	uint64_t slow_start_ms; /* in which a server that is up again gets its share; 0: at once */
	uint32_t failover_percent; /* with a smaller share of weights up the next priority helps;
				    * 0: when none is */
};

/* A set of HTTP statuses, 100 to 599. */
struct config_statuses {
	uint64_t bit[8];
};

static inline bool config_statuses_have(const struct config_statuses *set, uint16_t status)
{
	return status >= 100 && status < 600 &&
	       set->bit[(status - 100) / 64] >> (status - 100) % 64 & 1;
}

/* What servers are asked, to know whether they are well. */
enum config_check { CHECK_NONE, CHECK_TCP, CHECK_HTTP };

struct config_health {
	enum config_check check;
	char *path;                      /* of the request */
	char *host;                      /* its Host; NULL: the server's address as written */
	char *body;                      /* text that the content must contain; NULL: any */
	struct config_statuses statuses; /* that are expected */
	uint16_t port;                   /* where it is asked; 0: where requests go */
	uint64_t interval_ms;
	uint64_t timeout_ms; /* for all of a check */
	uint32_t rise, fall; /* checks in a row that make it well or not */
};

/* When servers are passed over for what requests to them met. */
struct config_ejection {
	uint32_t refusals;               /* connections in a row */
	uint32_t failures;               /* errors of any kind in a row */
	struct config_statuses statuses; /* that are errors */
	uint32_t latency_factor;         /* times the median of its peers; 0: any */
	uint64_t time_ms;                /* for the first time */
	uint64_t max_time_ms;
	uint32_t trials;      /* requests that it is then tried with at a time */
	uint32_t max_ejected; /* percent of the servers, but at least one; 0: none */
	uint32_t panic;       /* percent that are well, below which health is ignored */
};

/* After which failures a request is sent to another server, besides that of a connection. A bit
 * each. */
enum config_retry_on {
	RETRY_NEVER = 0,
	RETRY_BROKEN = 1 << 0, /* it broke off before a byte of the response */
	RETRY_502 = 1 << 1,
	RETRY_503 = 1 << 2,
	RETRY_504 = 1 << 3,
};

struct config_retry {
	uint32_t attempts;   /* of a request, the first included */
	uint32_t on;         /* enum config_retry_on */
	uint32_t budget;     /* retries, in percent of the last ten seconds' requests */
	uint32_t minimum;    /* a second that are always allowed */
	uint32_t concurrent; /* at once; 0: no cap */
	uint64_t hedge_ms;   /* without an answer, until another is asked too; 0: never */
};

/* In what form servers are told whose connection it is. */
enum config_introduction { INTRODUCTION_OFF, INTRODUCTION_V1, INTRODUCTION_V2 };

/* A file that the configuration names, and where. */
struct config_file {
	char *path;
	int line;
};

struct config_files {
	struct config_file *list;
	size_t count;
};

/* How TLS is spoken with servers. The files are read by whoever speaks it, and judged then. */
struct config_upstream_tls {
	bool enabled;
	int line; /* of the block */
	bool verify;
	struct config_file ca;            /* whom to trust; path NULL: the system's authorities */
	char *name;                       /* that servers are to prove; NULL: of their address */
	struct config_files certificates; /* ours, if any: at most one, with its chain */
	struct config_files keys;         /* at most one; none: it is in the same file */
	bool resume;                      /* sessions */
	bool only_13;                     /* min_version = "1.3" */
};

/* Whether servers are spoken to in HTTP/2. */
enum config_upstream_http2 {
	UPSTREAM_HTTP2_OFF,
	UPSTREAM_HTTP2_AUTO, /* if they choose it by ALPN */
	UPSTREAM_HTTP2_ON,   /* without asking */
};

struct config_upstream {
	char *name;
	struct config_server *servers; /* at least one, at most CONFIG_SERVERS_MAX */
	size_t server_count;
	struct config_health health;
	struct config_ejection ejection;
	uint32_t max_connections; /* of all threads; 0: no cap */
	uint32_t max_active;      /* requests at once; 0: no cap */
	uint32_t queue;           /* requests that may wait at a cap */
	uint32_t keepalive;       /* idle connections, of all threads */
	uint32_t prewarm;         /* that are kept ready */
	uint32_t max_requests;    /* of one connection; 0: no limit */
	uint64_t max_age_ms;      /* of one connection; 0: no limit */
	uint64_t keepalive_ms;    /* how long one is kept */
	enum config_upstream_http2 http2;
	enum config_introduction proxy_protocol; /* unless off no connection is kept */
	struct config_retry retry;
	struct config_balance balance;
	struct config_upstream_tls tls;

	/* http2 was to be "auto", but the caps leave no room for it: it is off. */
	bool http2_left_out;
};

enum config_protocol { PROTOCOL_HTTP, PROTOCOL_TCP, PROTOCOL_UDP };

enum config_client_certificate {
	CLIENT_CERTIFICATE_NONE,
	CLIENT_CERTIFICATE_OPTIONAL,
	CLIENT_CERTIFICATE_REQUIRED
};

/* How a listener ends TLS. The files are read by whoever ends it, and judged then. */
struct config_tls {
	bool enabled;
	int line;                         /* of the block */
	struct config_files certificates; /* chains; the first is for clients that name no host */
	struct config_files keys;         /* none: the certificates' files hold them */
	struct config_files staples;      /* OCSP responses */
	struct config_file client_ca;     /* path NULL: clients are asked for no certificate */
	enum config_client_certificate client_certificate;
	bool forward_client; /* tell servers about the client's certificate */
	bool strict_sni;     /* refuse names that no certificate has */
	bool tickets;
	bool only_13; /* min_version = "1.3" */
	bool kernel;  /* ktls = "auto": long responses are sealed by a kernel that can */
};

/* What becomes of peers that are no balancers. */
enum config_peers { PEERS_ACCEPT, PEERS_REFUSE };

/* Balancers that say by a PROXY header whose connection it is; none: every peer is a client. */
struct config_balancers {
	struct fw_prefix *ranges;
	size_t count;
	enum config_peers others;
};

enum config_family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };

/* How names of servers are resolved. */
struct config_resolver {
	struct config_server *servers; /* to ask; none: those of /etc/resolv.conf */
	size_t server_count;
	uint64_t min_ttl_ms, max_ttl_ms; /* how long an answer is believed */
	uint64_t timeout_ms;             /* of a question */
	enum config_family family;       /* of addresses that are taken */
};

/* A service of the filter; with a proxy behind it, a listener. */
struct config_service {
	char *name;
	enum fw_service_kind kind;
	struct fw_service_key *bindings;
	size_t binding_count;
	enum config_protocol protocol;       /* of a listener HTTP or TCP, else TCP or UDP */
	uint64_t settings[FW_SETTING_COUNT]; /* every one of scope SERVICE (and LISTENER) */

	/* Listeners only. */
	uint32_t backlog;
	struct fw_prefix *exempt; /* sources that the rates of sources do not hold for */
	size_t exempt_count;
	struct config_balancers balancers;
	struct config_tls tls;
	struct config_forwarding forwarding;
	struct config_route *routes; /* longest prefix first; protocol tcp has one, "/" */
	size_t route_count;
};

/* A named list, loaded from a file. */
struct config_list {
	char *name;
	char *file; /* absolute */
	enum fw_list_action action;
	uint64_t seconds; /* of lines that name no time; 0: for ever */
	int line;         /* of the configuration, where it is defined */
};

struct config {
	char *path;                          /* of the file */
	uint64_t settings[FW_SETTING_COUNT]; /* those of scope HOST */
	struct config_filter filter;
	struct config_service *services; /* listeners first, else in the file's order */
	size_t service_count;
	size_t listener_count;
	struct config_upstream *upstreams;
	size_t upstream_count;
	struct config_resolver resolver;
	struct config_list *lists;
	size_t list_count;
	uint32_t threads;      /* of the proxy */
	uint64_t drain_ms;     /* for what a proxy that is replaced has begun */
	char *admin;           /* address of /metrics, "127.0.0.1:9180"; NULL: none */
	char *access_log;      /* path, "-" for standard output; NULL: none */
	const char *log_level; /* a word */
	char *user;            /* that the children become */
};

/*
 * Reads @path. On failure *@config is untouched and @error holds every diagnostic, a line each:
 * "floodwall.conf:12: listener https: source.syn_rate: 99999999 is above 10000000". −errno of the
 * open, or −EINVAL.
 */
int config_load(const char *path, struct config **config, struct error *error);
/* The same from memory; @name stands for the path in diagnostics. */
int config_parse(const char *text, const char *name, struct config **config, struct error *error);
void config_free(struct config *config); /* NULL is allowed */

/* The service of that name, or NULL. */
const struct config_service *config_service_find(const struct config *config, const char *name);

/* What is allowed but probably not meant (backlog over somaxconn, …), a line each. Returns how
 * many. */
int config_warnings(const struct config *config, struct error *text);

#endif
