/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Silence: under overload whoever has to go, and would be back at once if he saw his connection
 * end, does not see it. He keeps what is no connection any more, and is no load.
 *
 * Only where it is for him to speak: he has said nothing that we have not heard, and all that we
 * have said has reached him. If he speaks, the kernel tells him that there is no such connection,
 * which the filter lets it do (bpf/silent.h). Who waits for an answer could wait for ever, and is
 * told.
 */
#ifndef PROXY_CLIENT_ADMISSION_SILENCE_H
#define PROXY_CLIENT_ADMISSION_SILENCE_H

#include "proxy/client/client.h"

/* Whether a newcomer on @fd who is turned away for @verdict is not told. */
bool silence_befits_newcomer(const struct listener *listener, int fd, const struct fw_addr *source,
			     enum fw_verdict verdict);

/* Whether a client is not told that he has to go for @verdict. */
bool silence_befits_client(const struct client *client, enum fw_verdict verdict);

/* The end of @fd, which is to follow at once, will be noticed by nobody. */
void silence_keep(const struct listener *listener, int fd);

#endif
