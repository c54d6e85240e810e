/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a source has of a listener already, for whoever has to choose between two: who has had
 * least, and has nothing here, comes first.
 */
#ifndef PROXY_CLIENT_ADMISSION_STANDING_H
#define PROXY_CLIENT_ADMISSION_STANDING_H

#include "proxy/client/worker.h"

enum { STANDING_SEVERAL = 4 }; /* connections of one source: who has as many has several */

/* Balancers, whose clients are told apart later, and who is exempt by configuration. */
bool standing_is_exempt(const struct listener *listener, const struct fw_addr *source);

/* Whether a source that has a connection here is on the filter's allow list. */
bool standing_is_allowed(const struct listener *listener, const struct fw_addr *source);

/* How much more of the thread's time than its part it has had: usage_level(). 0 for who is exempt.
 */
unsigned int standing_level(const struct listener *listener, const struct fw_addr *source);

/* Connections of it, with all threads; never too few. */
uint64_t standing_connections(const struct listener *listener, const struct fw_addr *source);

/* Whether who comes from it has another one here. */
bool standing_has_another(const struct listener *listener, const struct fw_addr *source);

/* Whether more than a quarter of a fault is held against it that is not forgiven yet
 * (guard/conduct.h), and it is not on the allow list. */
bool standing_has_faults(const struct listener *listener, const struct fw_addr *source);

#endif
