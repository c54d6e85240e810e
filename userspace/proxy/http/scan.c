/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each byte may be part of. One row of sixteen per line, as the character tables of RFC 9110
 * and RFC 3986 print them; everything that is not listed is refused everywhere.
 */
#include "proxy/http/scan.h"

#define V HTTP_BYTE_VALUE
#define P (HTTP_BYTE_VALUE | HTTP_BYTE_TARGET)                   /* printable */
#define T (HTTP_BYTE_VALUE | HTTP_BYTE_TARGET | HTTP_BYTE_TOKEN) /* tchar */
#define H (HTTP_BYTE_VALUE | HTTP_BYTE_TARGET | HTTP_BYTE_TOKEN | HTTP_BYTE_HOST)
#define S (HTTP_BYTE_VALUE | HTTP_BYTE_TOKEN) /* '#': tchar, but never in a target */

/* clang-format off */
const uint8_t http_bytes[256] = {
	/* 0x00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0, /* HT */
	/* 0x10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/*   !"# */ V, T, P, S, T, T, T, T, P, P, T, T, P, H, H, P, /* $%&'()*+,-./ */
	/* 0-9   */ H, H, H, H, H, H, H, H, H, H, P, P, P, P, P, P, /* :;<=>? */
	/* @A-O  */ P, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	/* P-Z   */ H, H, H, H, H, H, H, H, H, H, H, P, P, P, T, H, /* [\]^_ */
	/* `a-o  */ T, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	/* p-z   */ H, H, H, H, H, H, H, H, H, H, H, P, T, P, T, 0, /* {|}~ DEL */
	/* 0x80: obs-text, in values only */
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
};
/* clang-format on */
