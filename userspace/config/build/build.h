/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what was written to what it means: libConfuse's tree into struct config. Private to config/.
 *
 * Every function goes on after a diagnostic, with the default in place of what was wrong, so that
 * one reading finds every fault.
 */
#ifndef CONFIG_BUILD_BUILD_H
#define CONFIG_BUILD_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"
#include "config/options.h"
#include "config/read/grammar.h"

struct build {
	const struct source *source;
	struct diagnostics *diagnostics;
	struct config *config;
};

/* A block that is being read. */
struct site {
	struct build *build;
	cfg_t *section;
	int block; /* in source, or SOURCE_ROOT */
};

/* site.c: the root of the tree, and the @nth block @name inside a site (which exists). */
struct site site_root(struct build *build, cfg_t *tree);
struct site site_inside(const struct site *outer, const char *name, size_t nth);
size_t site_count(const struct site *outer, const char *name);
int site_line(const struct site *site); /* where the block opens */
const char *site_title(const struct site *site);

bool site_has(const struct site *site, const char *option); /* whether it is written there */

/* "listener https: @option: …" on the line where that is written, or else where the block opens;
 * @option NULL: about the block. */
void site_complain(const struct site *site, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same on @line: of an option that is a list. */
void site_complain_at(const struct site *site, int line, const char *option, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));

/* values.c: every option of a block by its row, into the block's struct; and every setting. */
void build_options(const struct site *site, enum config_block block, void *result);
void build_settings(const struct site *site, enum config_block block, uint64_t *settings);

/* Memory, zeroed, and a copy. Never NULL: without memory for a file nothing else would go on. */
void *build_alloc(size_t count, size_t size);
char *build_copy(const char *text);

/* A service's name as the filter takes it; complains otherwise. */
void build_check_name(const struct site *site);

/* list.c */
void build_lists(const struct site *root);
/* upstream.c */
void build_upstreams(const struct site *root);
/* health.c */
void build_health(const struct site *upstream, struct config_health *health);
void build_ejection(const struct site *upstream, struct config_ejection *ejection);
/* resolver.c */
void build_resolver(const struct site *root);
/* Where a server is, by its address or its name. False: it was complained about. */
bool build_whereabouts(const struct site *server, struct config_server *result);
/* As many places as the name of the last of @servers may have addresses. */
void build_slots(const struct site *server, struct config_upstream *upstream);
/* balance.c */
void build_balance(const struct site *upstream, struct config_balance *balance);
/* routes.c */
void build_routes(const struct site *listener, struct config_service *service);
/* route.c: what the block says besides where it leads. */
void build_route_match(const struct site *site, struct config_route *route);
void build_route_limits(const struct site *route, struct config_route_limits *limits);
/* answer.c: redirect and respond. False: there is neither. */
bool build_answer(const struct site *route, struct config_answer *answer);
/* rules.c: request_headers and response_headers of a listener and its route. */
void build_rules(const struct site *listener, const struct site *route,
		 const struct config_service *service, struct config_route *result);
/* Whether a request may have a field of that name written; false: it was complained about. */
bool build_check_field(const struct site *site, int line, const char *option, const char *name);
/* text.c: what @written says, of the facts in the set @allowed (bit per enum
 * config_fact); false: it was complained about. */
bool build_text(const struct site *site, const struct grammar_value *written, const char *option,
		const char *text, unsigned int allowed, struct config_text *result);
/* Bytes that it comes to at most; of $path and $query nothing is known. */
size_t build_text_most(const struct config_text *text);
/* forwarding.c */
void build_forwarding(const struct site *listener, struct config_service *service);
/* ranges.c: those that @option lists, and how many; everybody is none, for @danger. */
struct fw_prefix *build_ranges(const struct site *site, const char *option, const char *danger,
			       size_t *count);
/* balancers.c */
void build_balancers(const struct site *listener, struct config_service *service);
/* upstream_tls.c */
void build_upstream_tls(const struct site *upstream, struct config_upstream_tls *tls);
/* tls.c */
void build_tls(const struct site *listener, struct config_service *service);
/* service.c */
void build_services(const struct site *root);
/* build.c: everything. */
void build_config(struct build *build, cfg_t *tree);

#endif
