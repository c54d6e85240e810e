/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a connection that has been accepted may stay: the caps of its source and prefix, how its
 * source has behaved, and room, which somebody worse may have to make.
 */
#ifndef PROXY_CLIENT_ADMISSION_JUDGE_H
#define PROXY_CLIENT_ADMISSION_JUDGE_H

#include "proxy/client/worker.h"

/*
 * FW_NONE: he may. Who has too many is not given the place of another. *@fd is another one then, if
 * it was among those that are kept back (reserve.h).
 */
enum fw_verdict judge_newcomer(struct listener *listener, const struct fw_addr *source, int *fd);

/* More wait than can be given room. FW_NONE: he may be judged at once; else, as he has another
 * connection here or had to go lately, he is kept out for a while by the filter, so that what
 * becomes of him costs nobody anything. */
enum fw_verdict judge_crowd(const struct listener *listener, const struct fw_addr *source);

#endif
