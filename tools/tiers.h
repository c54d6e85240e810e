/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What attach and status say of tiers, and of the sysctls that a tier wants otherwise. Those are
 * set by attach alone, when it is asked to.
 */
#ifndef TOOLS_TIERS_H
#define TOOLS_TIERS_H

#include "cli.h"

/* {"interfaces": [{"name", "mode", "tier", "tier_lacks", "admission"}], "sysctls": as below,
 * "cookies_differ": what cookies offer and the sysctls no longer say, or null}. NULL: failed. */
json_t *tiers_describe(struct wall *wall, struct error *error);
/* What of that needs attention. */
void tiers_print_alarms(const json_t *said);

/* [{"name", "value", "wanted", "required", "why"}]: those that are not as @tier wants them. */
json_t *tiers_describe_sysctls(enum fw_tier tier);
void tiers_print_sysctls(const json_t *rows);

/* Sets them, and adds {"name", "before", "after"} of each to @changes. STATUS_OK or what to return.
 */
int tiers_set_sysctls(struct cli *cli, enum fw_tier tier, json_t *changes);
void tiers_undo_sysctls(const json_t *changes);
void tiers_print_changes(const json_t *changes);

#endif
