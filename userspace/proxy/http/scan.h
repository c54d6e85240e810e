/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a run of allowed bytes ends: the inner loops of the parsers.
 *
 * http_scan_*(at, end) return the first byte in [at, end) that may not be part of the element, or
 * end. They never read outside. With SSE2 (every x86-64) sixteen bytes are judged at a time; the
 * rest, and other machines, go by the table. Both say the same of every byte, which a test holds
 * them to.
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What a byte may be part of. */
enum {
	HTTP_BYTE_TOKEN = 1,  /* tchar (RFC 9110 section 5.6.2) */
	HTTP_BYTE_TARGET = 2, /* printable ASCII but space and '#' */
	HTTP_BYTE_VALUE = 4,  /* field value: anything but controls; HT is allowed */
	HTTP_BYTE_HOST = 8,   /* registered name or IPv4 address: letters, digits, "-._" */
};

extern const uint8_t http_bytes[256];

static inline const char *http_scan_table(const char *at, const char *end, uint8_t class)
{
	while (at < end && http_bytes[(uint8_t)*at] & class)
		at++;
	return at;
}

#ifdef __SSE2__
/* Bytes of @block in [low, low + span], as 0xff; the comparison is unsigned. */
static inline __m128i http_in_range(__m128i block, uint8_t low, uint8_t span)
{
	__m128i offset = _mm_sub_epi8(block, _mm_set1_epi8((char)low));

	return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)span)), offset);
}

static inline __m128i http_is(__m128i block, char byte)
{
	return _mm_cmpeq_epi8(block, _mm_set1_epi8(byte));
}

static inline __m128i http_load(const char *at)
{
	return _mm_loadu_si128((const __m128i *)at);
}
#endif

static inline const char *http_scan_value(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		__m128i block = http_load(at);
		__m128i control = http_in_range(block, 0x00, 0x1f);
		__m128i stop = _mm_or_si128(_mm_andnot_si128(http_is(block, '\t'), control),
					    http_is(block, 0x7f));
		int mask = _mm_movemask_epi8(stop);

		if (mask)
			return at + __builtin_ctz((unsigned int)mask);
	}
#endif
	return http_scan_table(at, end, HTTP_BYTE_VALUE);
}

static inline const char *http_scan_target(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		__m128i block = http_load(at);
		__m128i pass = _mm_andnot_si128(http_is(block, '#'),
						http_in_range(block, 0x21, 0x7e - 0x21));
		int mask = _mm_movemask_epi8(pass);

		if (mask != 0xffff)
			return at + __builtin_ctz(~(unsigned int)mask);
	}
#endif
	return http_scan_table(at, end, HTTP_BYTE_TARGET);
}

static inline const char *http_scan_path_table(const char *at, const char *end)
{
	while (at < end && *at != '%' && *at != '\\' && *at != '?' && (*at != '.' || at[-1] != '/'))
		at++;
	return at;
}

/* What of a path is worth a look: '%', '\', '?' which ends it, and '.' behind '/'. Before @at there
 * is a byte that may be read. */
static inline const char *http_scan_path(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		__m128i block = http_load(at);
		__m128i dot = _mm_and_si128(http_is(block, '.'), http_is(http_load(at - 1), '/'));
		__m128i mark = _mm_or_si128(http_is(block, '%'), http_is(block, '\\'));
		int mask = _mm_movemask_epi8(
			_mm_or_si128(_mm_or_si128(dot, mark), http_is(block, '?')));

		if (mask)
			return at + __builtin_ctz((unsigned int)mask);
	}
#endif
	return http_scan_path_table(at, end);
}

static inline const char *http_scan_token(const char *at, const char *end)
{
#ifdef __SSE2__
	/* Letters, digits and '-' are nearly all of every name; the table knows the rest. */
	while (end - at >= 16) {
		__m128i block = http_load(at);
		__m128i letter = http_in_range(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 25);
		__m128i digit = http_in_range(block, '0', 9);
		__m128i pass = _mm_or_si128(_mm_or_si128(letter, digit), http_is(block, '-'));
		int mask = _mm_movemask_epi8(pass);

		if (mask == 0xffff) {
			at += 16;
			continue;
		}
		at += __builtin_ctz(~(unsigned int)mask);
		if (!(http_bytes[(uint8_t)*at] & HTTP_BYTE_TOKEN))
			return at;
		at++;
	}
#endif
	return http_scan_table(at, end, HTTP_BYTE_TOKEN);
}

#endif
