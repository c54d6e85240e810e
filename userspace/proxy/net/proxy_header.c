// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/proxy_header.h"
#include <arpa/inet.h>
#include <string.h>
#include "proxy/net/proxy_layout.h"

enum { WORD_MAX = INET6_ADDRSTRLEN - 1 }; /* characters of a word of the line */

/* What an IPv4 address is written behind (contract/address.h). */
static const struct fw_addr v4_addr = {{0, 0, (__be32)__builtin_bswap32(0x0000ffff), 0}};

/* --- version 1 ---------------------------------------------------------------------------------
 */

/* What is left of the line, without its CRLF. */
struct line {
	const char *at;
	size_t left;
};

/* The next word, terminated, and the one space behind it, which none but the last word lacks.
 * False: empty, longer than any may be, or one that ends before it ends. */
static bool take_word(struct line *line, bool is_last, char word[WORD_MAX + 1])
{
	const char *space = memchr(line->at, ' ', line->left);
	size_t length = space ? (size_t)(space - line->at) : line->left;

	if (!space != is_last || length == 0 || length > WORD_MAX || memchr(line->at, '\0', length))
		return false;
	memcpy(word, line->at, length);
	word[length] = '\0';
	line->at += length + !is_last;
	line->left -= length + !is_last;
	return true;
}

static bool take_address(struct line *line, int family, struct fw_addr *addr)
{
	char word[WORD_MAX + 1];

	*addr = v4_addr;
	return take_word(line, false, word) &&
	       inet_pton(family, word, family == AF_INET ? &addr->word[3] : &addr->word[0]) == 1;
}

/* Decimal, and no zero in front: some would read that as octal. */
static bool take_port(struct line *line, bool is_last, uint16_t *port)
{
	char word[WORD_MAX + 1];
	uint32_t value = 0;

	if (!take_word(line, is_last, word) || (word[0] == '0' && word[1]))
		return false;
	for (const char *digit = word; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return false;
		value = value * 10 + (uint32_t)(*digit - '0');
		if (value > UINT16_MAX)
			return false;
	}
	*port = (uint16_t)value;
	return true;
}

static bool starts_with(const struct line *line, const char *text)
{
	size_t length = strlen(text);

	return line->left >= length && memcmp(line->at, text, length) == 0;
}

static bool read_line(struct line line, struct proxy_header *header)
{
	static const char unknown[] = "PROXY UNKNOWN";
	int family;

	if (starts_with(&line, unknown)) {
		header->local = true;
		return line.left == strlen(unknown) || line.at[strlen(unknown)] == ' ';
	}
	if (starts_with(&line, "PROXY TCP4 "))
		family = AF_INET;
	else if (starts_with(&line, "PROXY TCP6 "))
		family = AF_INET6;
	else
		return false;
	line.at += strlen("PROXY TCP4 ");
	line.left -= strlen("PROXY TCP4 ");
	return take_address(&line, family, &header->source) &&
	       take_address(&line, family, &header->destination) &&
	       take_port(&line, false, &header->source_port) &&
	       take_port(&line, true, &header->destination_port);
}

/* Nothing is read before the end of the line has come: its beginning may be another's. */
static int parse_v1(const char *data, size_t length, struct proxy_header *header)
{
	size_t seen = length < PROXY_HEADER_V1_MAX ? length : PROXY_HEADER_V1_MAX;
	const char *end = memchr(data, '\n', seen);

	if (!end)
		return length < PROXY_HEADER_V1_MAX ? 0 : -FW_BAD_PROXY_HEADER;
	if (end[-1] != '\r' || !read_line((struct line){data, (size_t)(end - 1 - data)}, header))
		return -FW_BAD_PROXY_HEADER;
	return (int)(end + 1 - data);
}

/* --- version 2 ---------------------------------------------------------------------------------
 */

static uint16_t number_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* CRC32c (RFC 9260 appendix A), four bits at a time. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t length)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* Whether the checksum at @at is that of the header, in which zeros stand for it. */
static bool is_intact(const uint8_t *data, size_t length, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c(UINT32_MAX, data, at);

	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = ~crc32c(crc, data + at + sizeof(zeros), length - at - sizeof(zeros));
	return crc == ((uint32_t)number_16(data + at) << 16 | number_16(data + at + 2));
}

/* The attributes from @at on: each of them whole, and the header with them. */
static bool check_attributes(const uint8_t *data, size_t length, size_t at)
{
	size_t size;

	for (; at < length; at += PROXY_TLV_HEAD + size) {
		if (length - at < PROXY_TLV_HEAD)
			return false;
		size = number_16(data + at + 1);
		if (size > length - at - PROXY_TLV_HEAD)
			return false;
		if (data[at] == PROXY_TLV_CRC32C &&
		    (size != 4 || !is_intact(data, length, at + PROXY_TLV_HEAD)))
			return false;
	}
	return true;
}

/* Bytes of the addresses, which are read into @header. −1: of a kind that is no client's of ours
 * (a Unix socket, UDP), or cut off. */
static int read_addresses(const uint8_t *at, size_t length, uint8_t family,
			  struct proxy_header *header)
{
	if (family == PROXY_FAMILY_UNSPEC) {
		header->local = true;
		return 0;
	}
	if (family == PROXY_FAMILY_TCP4 && length >= PROXY_TCP4_SIZE) {
		header->source = header->destination = v4_addr;
		memcpy(&header->source.word[3], at, 4);
		memcpy(&header->destination.word[3], at + 4, 4);
		header->source_port = number_16(at + 8);
		header->destination_port = number_16(at + 10);
		return PROXY_TCP4_SIZE;
	}
	if (family == PROXY_FAMILY_TCP6 && length >= PROXY_TCP6_SIZE) {
		memcpy(&header->source, at, 16);
		memcpy(&header->destination, at + 16, 16);
		header->source_port = number_16(at + 32);
		header->destination_port = number_16(at + 34);
		return PROXY_TCP6_SIZE;
	}
	return -1;
}

/* A whole header: what of it can be wrong still? */
static bool read_block(const uint8_t *data, size_t length, struct proxy_header *header)
{
	uint8_t command = data[12], family = data[13];
	int addresses;

	/* What a health check brings along is to be ignored, in any form. */
	if (command == PROXY_COMMAND_LOCAL && family != PROXY_FAMILY_UNSPEC) {
		header->local = true;
		return true;
	}
	addresses =
		read_addresses(data + PROXY_FIXED_SIZE, length - PROXY_FIXED_SIZE, family, header);
	return addresses >= 0 &&
	       check_attributes(data, length, PROXY_FIXED_SIZE + (size_t)addresses);
}

static int parse_v2(const uint8_t *data, size_t length, struct proxy_header *header)
{
	size_t whole;

	if (length > 12 && data[12] != PROXY_COMMAND_LOCAL && data[12] != PROXY_COMMAND_PROXY)
		return -FW_BAD_PROXY_HEADER;
	if (length < PROXY_FIXED_SIZE)
		return 0;
	whole = PROXY_FIXED_SIZE + (size_t)number_16(data + 14);
	if (whole > PROXY_HEADER_MAX)
		return -FW_BAD_PROXY_HEADER;
	if (length < whole)
		return 0;
	return read_block(data, whole, header) ? (int)whole : -FW_BAD_PROXY_HEADER;
}

/* --- which of them -----------------------------------------------------------------------------
 */

/* Whether @data is, as far as it goes, how @start begins. */
static bool agrees(const uint8_t *data, size_t length, const char *start, size_t size)
{
	return memcmp(data, start, length < size ? length : size) == 0;
}

int proxy_header_parse(const uint8_t *data, size_t length, struct proxy_header *header)
{
	*header = (struct proxy_header){0};
	if (length == 0)
		return 0;
	if (agrees(data, length, PROXY_SIGNATURE, PROXY_SIGNATURE_SIZE))
		return parse_v2(data, length, header);
	if (agrees(data, length, "PROXY ", 6))
		return parse_v1((const char *)data, length, header);
	return -FW_BAD_PROXY_HEADER;
}
