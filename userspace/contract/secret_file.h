/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A secret of SYN cookies as a file, for hosts that share one: 32 hexadecimal digits (128 bits, as
 * `openssl rand -hex 16` makes them) and a line's end.
 *
 * Whoever can read it can open connections under any address, so a file that others than its owner
 * can read is refused, and so is one whose owner is neither root nor the caller.
 */
#ifndef CONTRACT_SECRET_FILE_H
#define CONTRACT_SECRET_FILE_H

#include <stdint.h>
#include "base/error.h"

/* Reads the file into @key. −errno of the open; −EPERM: others may read it; −EINVAL: not 32 digits.
 */
int secret_file_read(const char *path, uint64_t key[2], struct error *error);
/* Makes a file with a new random secret, in one step and for its owner only; one that is there is
 * replaced. −errno. */
int secret_file_write(const char *path, struct error *error);

#endif
