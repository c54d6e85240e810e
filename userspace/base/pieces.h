/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of any size for libraries that ask for much of it, in small pieces, and soon give it back:
 * OpenSSL takes some two thousand for one handshake. What comes back stays with the thread, by
 * size and up to a cap for each, and is handed out again without a lock or a search; malloc keeps
 * seven of a size like that. Nobody counts here: an account is its user's.
 *
 * With AddressSanitizer none is kept, so that every use after its return is caught.
 */
#ifndef BASE_PIECES_H
#define BASE_PIECES_H

#include <stddef.h>

/* As malloc(3); it may be returned in any thread. */
void *pieces_take(size_t size);
void pieces_give(void *memory); /* NULL is allowed */

#endif
