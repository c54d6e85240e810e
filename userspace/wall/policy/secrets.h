/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets of SYN cookies, for the wall's own files; what others may do is in wall.h. The lock is
 * held in each. */
#ifndef WALL_POLICY_SECRETS_H
#define WALL_POLICY_SECRETS_H

#include "wall/internal.h"

/* Makes the first secret, or goes on with the one there is under what the sysctls say now. */
int secrets_refresh(struct wall *wall, struct error *error);
/* What the configuration says: a secret that is @shared, or (NULL) one of this host alone. */
int secrets_apply(struct wall *wall, const uint64_t *shared, struct error *error);

#endif
