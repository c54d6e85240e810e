// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/hello.h"
#include <stdbool.h>
#include <string.h>
#include "floodwall.h"

enum {
	RECORD_HEADER = 5,
	RECORD_MAX = 16384,
	CONTENT_HANDSHAKE = 22,
	MESSAGE_HEADER = 4,
	MESSAGE_CLIENT_HELLO = 1,
	RANDOM_SIZE = 32,
	EXTENSION_SERVER_NAME = 0,
	NAME_TYPE_HOST = 0,
};

/* Bytes that are still to be read. What is read past the end is 0, and marks the whole as bad. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static struct reader take(struct reader *from, size_t size)
{
	struct reader part = {from->at, size, false};

	if (size > from->left) {
		from->bad = true;
		part = (struct reader){from->at, 0, true};
		size = from->left;
	}
	from->at += size;
	from->left -= size;
	return part;
}

/* A number of @size bytes. */
static size_t take_number(struct reader *from, size_t size)
{
	struct reader part = take(from, size);
	size_t value = 0;

	for (size_t i = 0; i < part.left; i++)
		value = value << 8 | part.at[i];
	return value;
}

/* What follows a length of @size bytes. */
static struct reader take_vector(struct reader *from, size_t size)
{
	size_t length = take_number(from, size);

	return take(from, length);
}

/* The first host name of the list. False: it is none that could be one. */
static bool read_name(struct reader extension, struct hello *hello)
{
	struct reader list = take_vector(&extension, 2);

	while (list.left && !hello->name[0]) {
		size_t type = take_number(&list, 1);
		struct reader name = take_vector(&list, 2);

		if (type != NAME_TYPE_HOST)
			continue;
		if (!name.left || name.left >= sizeof(hello->name))
			return false;
		for (size_t i = 0; i < name.left; i++) {
			char c = (char)name.at[i];

			if (c <= ' ' || c > '~')
				return false;
			hello->name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		}
	}
	return !list.bad && !extension.bad && !extension.left;
}

static bool read_message(struct reader message, struct hello *hello)
{
	struct reader extensions;

	take_number(&message, 2); /* version; what counts is an extension */
	take(&message, RANDOM_SIZE);
	take_vector(&message, 1); /* session */
	take_vector(&message, 2); /* cipher suites */
	take_vector(&message, 1); /* compression */
	if (message.bad)
		return false;
	if (!message.left)
		return true; /* TLS 1.2 allows none */
	extensions = take_vector(&message, 2);
	while (extensions.left) {
		size_t type = take_number(&extensions, 2);
		struct reader extension = take_vector(&extensions, 2);

		if (type == EXTENSION_SERVER_NAME && !extensions.bad &&
		    !read_name(extension, hello))
			return false;
	}
	return !extensions.bad && !message.bad && !message.left;
}

/* One record's content; 0: it is not whole; negative: refused. */
static int read_record(const uint8_t *data, size_t length, size_t *content)
{
	if (length > 0 && data[0] != CONTENT_HANDSHAKE)
		return -FW_NOT_TLS;
	if (length > 1 && data[1] != 3)
		return -FW_NOT_TLS;
	if (length < RECORD_HEADER)
		return 0;
	*content = (size_t)data[3] << 8 | data[4];
	if (*content == 0 || *content > RECORD_MAX)
		return -FW_BAD_HANDSHAKE;
	return length - RECORD_HEADER >= *content;
}

int hello_parse(const uint8_t *data, size_t length, uint8_t *message, struct hello *hello)
{
	size_t at = 0, have = 0, need = MESSAGE_HEADER, content;
	int result;

	hello->name[0] = '\0';
	while (have < need) {
		result = read_record(data + at, length - at, &content);
		if (result <= 0)
			return at && result == -FW_NOT_TLS ? -FW_BAD_HANDSHAKE : result;
		/* Nothing may follow in the record: the client has nothing more to say yet. */
		if (content > HELLO_MESSAGE_MAX - have)
			return -FW_BAD_HANDSHAKE;
		memcpy(message + have, data + at + RECORD_HEADER, content);
		at += RECORD_HEADER + content;
		have += content;
		if (message[0] != MESSAGE_CLIENT_HELLO)
			return -FW_BAD_HANDSHAKE;
		if (have >= MESSAGE_HEADER)
			need = MESSAGE_HEADER +
			       ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
		if (need > HELLO_MESSAGE_MAX)
			return -FW_BAD_HANDSHAKE;
	}
	if (have > need)
		return -FW_BAD_HANDSHAKE;
	memset(hello->name, 0, sizeof(hello->name));
	if (!read_message((struct reader){message + MESSAGE_HEADER, need - MESSAGE_HEADER, false},
			  hello))
		return -FW_BAD_HANDSHAKE;
	return (int)at;
}
