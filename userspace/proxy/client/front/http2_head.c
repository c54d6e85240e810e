// SPDX-License-Identifier: BSD-2-Clause
/*
 * A header block becomes the head of an HTTP/1 request, which http/ then judges as any other.
 *
 * What could make two requests of one there, or hide a field from the parser's rules, is refused
 * here: bytes that end a line or a word, and fields that only HTTP/1 connections have (RFC 9113
 * section 8.2). Cookie's crumbs are joined (section 8.2.3); Host beside :authority goes if it says
 * the same, and stays for the parser to refuse if not.
 *
 * A block that decodes to far more than was sent is a bomb. An honest one says again what is in
 * HPACK's tables at most once, and what it spells out grows by Huffman's code to 8/5: the bound
 * is above both. Of what is refused nothing is kept; it is decoded on only because the next block
 * depends on it.
 */
#include "proxy/client/front/http2.h"
#include "proxy/http/scan.h"

enum {
	METHOD_MOST = 64,
	AUTHORITY_MOST = 512,
	LINE_EXTRA = 32,         /* " HTTP/1.1", "Host: ", line ends */
	FIELD_OVERHEAD = 32,     /* RFC 9113 section 6.5.2 */
	BOMB_FREE = 4096 + 2048, /* the dynamic table, and the static one, once */
	BOMB_FACTOR = 2,
};

static void refuse(struct http2_block *block, enum fw_verdict verdict)
{
	if (block->verdict == FW_NONE)
		block->verdict = (uint8_t)verdict;
	buffer_give(&block->text);
}

void http2_block_begin(struct http2 *http2, const nghttp2_frame *frame)
{
	struct http2_block *block = &http2->block;

	http2_block_drop(http2);
	*block = (struct http2_block){
		.begun_ns = client_now(http2->client),
		.stream = frame->hd.stream_id,
		.wire = (uint32_t)frame->hd.length,
		.is_trailer = frame->headers.cat != NGHTTP2_HCAT_REQUEST,
	};
}

void http2_block_refuse(struct http2 *http2, enum fw_verdict verdict)
{
	refuse(&http2->block, verdict);
}

void http2_block_drop(struct http2 *http2)
{
	buffer_give(&http2->block.text);
	http2->block.begun_ns = 0;
}

static bool make_room(struct http2 *http2, uint32_t size)
{
	return buffer_fit(&http2->block.text, &http2->client->account, size);
}

static void put(struct http2_block *block, const char *data, uint32_t length)
{
	buffer_append(block->text, data, length);
}

/* --- pseudo-header fields ----------------------------------------------------------------------
 *
 * They come first, in any order: kept as offsets at the start of the text, until the first line can
 * be written behind them and takes their place.
 */

static struct http_span keep(struct http2 *http2, struct http_slice value)
{
	struct http2_block *block = &http2->block;
	struct http_span kept = {0};

	if (!make_room(http2, value.length + 1)) {
		refuse(block, FW_MEMORY);
		return kept;
	}
	kept = (struct http_span){(uint16_t)block->text->end, (uint16_t)value.length};
	put(block, value.at, value.length);
	return kept;
}

static void add_pseudo(struct http2 *http2, struct http_slice name, struct http_slice value)
{
	struct http2_block *block = &http2->block;
	const uint64_t *live = http2->client->listener->live.value;
	const char *end = value.at + value.length;

	if (http_scan_target(value.at, end) != end) {
		refuse(block,
		       http2_slice_is(name, ":authority") ? FW_BAD_HOST : FW_BAD_REQUEST_LINE);
	} else if (http2_slice_is(name, ":method")) {
		if (value.length > METHOD_MOST)
			refuse(block, FW_METHOD_UNSUPPORTED);
		else
			block->method = keep(http2, value);
	} else if (http2_slice_is(name, ":path")) {
		if (value.length > live[FW_SET_LIMIT_TARGET])
			refuse(block, FW_TARGET_TOO_LONG);
		else if (!value.length || (*value.at != '/' && !http2_slice_is(value, "*")))
			refuse(block, FW_BAD_REQUEST_LINE);
		else
			block->path = keep(http2, value);
	} else if (http2_slice_is(name, ":authority")) {
		if (value.length > AUTHORITY_MOST)
			refuse(block, FW_BAD_HOST);
		else
			block->authority = keep(http2, value);
		block->has_authority = true;
	} else if (!http2_slice_is(name, ":scheme") ||
		   (!http2_slice_is(value, "http") && !http2_slice_is(value, "https"))) {
		refuse(block, FW_BAD_REQUEST_LINE);
	}
}

/* "METHOD path HTTP/1.1" and Host. CONNECT has no path, and the parser no use for it. */
static void write_line(struct http2 *http2)
{
	struct http2_block *block = &http2->block;
	uint32_t kept = buffer_length(block->text);
	struct http_slice part;

	block->has_line = true;
	if (!make_room(http2, kept + LINE_EXTRA)) {
		refuse(block, FW_MEMORY);
		return;
	}
	part = http_slice(block->text->data, block->method);
	put(block, part.at, part.length);
	put(block, " ", 1);
	part = http_slice(block->text->data, block->path);
	put(block, part.at, part.length);
	put(block, " HTTP/1.1\r\n", 11);
	if (block->has_authority)
		http2_put_line(block->text, (struct http_slice){"Host", 4},
			       http_slice(block->text->data, block->authority));
	buffer_consume(block->text, kept);
	buffer_compact(block->text);
}

/* --- fields ------------------------------------------------------------------------------------
 */

/* Another crumb of the Cookie line. */
static void add_crumb(struct http2_block *block, struct http_slice crumb)
{
	char *at = block->text->data + block->cookies_end;

	memmove(at + 2 + crumb.length, at, block->text->end - block->cookies_end);
	memcpy(at, "; ", 2);
	memcpy(at + 2, crumb.at, crumb.length);
	block->text->end += 2 + crumb.length;
	block->cookies_end += 2 + crumb.length;
}

static void add_field(struct http2 *http2, struct http_slice name, struct http_slice value)
{
	struct http2_block *block = &http2->block;

	if (!block->has_line)
		write_line(http2);
	if (block->verdict != FW_NONE)
		return;
	if (!http2_field_is_sound(name, value)) {
		refuse(block, FW_BAD_FIELD);
		return;
	}
	if (!make_room(http2, name.length + value.length + HTTP2_LINE_EXTRA)) {
		refuse(block, FW_MEMORY);
		return;
	}
	if (http2_slice_is(name, "host") && block->has_authority) {
		const char *host = buffer_start(block->text) + block->method.length + 1 +
				   block->path.length + 11 + 6;

		if (http_slice_equal((struct http_slice){host, block->authority.length}, value))
			return;
	}
	if (http2_slice_is(name, "cookie") && block->cookies_end) {
		add_crumb(block, value);
		return;
	}
	block->has_length = block->has_length || http2_slice_is(name, "content-length");
	block->takes_trailer = block->takes_trailer || http2_slice_is(name, "te");
	http2_put_line(block->text, name, value);
	if (http2_slice_is(name, "cookie"))
		block->cookies_end = block->text->end - 2;
}

/* What may not stand there goes no further, as HTTP/1 has it. */
static void add_to_trailer(struct http2 *http2, struct http_slice name, struct http_slice value)
{
	struct http2_block *block = &http2->block;

	if (!http2_field_is_sound(name, value) || !http2_field_may_trail(name))
		return;
	if (make_room(http2, name.length + value.length + HTTP2_LINE_EXTRA))
		http2_put_line(block->text, name, value);
	else
		refuse(block, FW_MEMORY);
}

struct buffer *http2_block_take_trailer(struct http2 *http2)
{
	struct buffer *text = http2->block.text;

	http2->block.text = NULL;
	http2_block_drop(http2);
	return text;
}

/* Whether the field may be looked at; what was decoded before is judged, with it. */
static bool judge_size(struct http2 *http2, uint32_t size)
{
	struct http2_block *block = &http2->block;
	const uint64_t *live = http2->client->listener->live.value;

	block->decoded += size + FIELD_OVERHEAD;
	if (!block->is_bomb && block->decoded > BOMB_FREE + BOMB_FACTOR * block->wire) {
		block->is_bomb = true;
		refuse(block, FW_HEADER_TOO_LARGE);
		http2_abuse_note_bomb(http2);
	}
	if (block->decoded > live[FW_SET_LIMIT_HEADER]) {
		refuse(block, FW_HEADER_TOO_LARGE);
		/* nghttp2 looks at every byte of what is still to come: 30 MB in a frame. */
		if (block->is_bomb && http2->verdict == FW_NONE)
			http2->verdict = FW_HTTP2_BOMB;
	}
	return block->verdict == FW_NONE;
}

void http2_block_add(struct http2 *http2, struct http_slice name, struct http_slice value)
{
	if (!judge_size(http2, name.length + value.length))
		return;
	if (http2->block.is_trailer)
		add_to_trailer(http2, name, value);
	else if (name.length && *name.at == ':')
		add_pseudo(http2, name, value);
	else
		add_field(http2, name, value);
}

int http2_block_end(struct http2 *http2, bool has_body)
{
	struct http2_block *block = &http2->block;

	if (block->verdict == FW_NONE && !block->has_line)
		write_line(http2);
	if (block->verdict == FW_NONE && !make_room(http2, 32))
		refuse(block, FW_MEMORY);
	if (block->verdict != FW_NONE)
		return -(int)block->verdict;
	if (has_body && !block->has_length)
		put(block, "Transfer-Encoding: chunked\r\n", 28);
	put(block, "\r\n", 2);
	return (int)buffer_length(block->text);
}
