/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection's TLS from inside. Private to this folder.
 */
#ifndef PROXY_NET_TLS_TLS_STATE_H
#define PROXY_NET_TLS_TLS_STATE_H

#include "proxy/net/tls/record/record.h"
#include "proxy/net/tls/tls.h"

enum {
	TLS_SCRATCH_IN = RECORD_WIRE_MAX,
	TLS_SCRATCH_OUT = 17408,
	/* What a handshake is charged while it lasts: the library's objects and buffers. */
	TLS_HANDSHAKE_CHARGE = 56 << 10,
};

struct tls_engine {
	struct record_engine *records;
	struct pool connections;
	struct ledger ledger;
	struct account account; /* of connections to servers: nobody's but the thread's */
	struct list awaiting; /* handshakes with servers that wait for a ticket, the oldest first */
	uint32_t awaiting_count;
	uint8_t in[TLS_SCRATCH_IN];
	uint8_t out[TLS_SCRATCH_OUT];
};

/* Alerts (RFC 8446 section 6). */
enum tls_alert {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_DECODE_ERROR = 50,
	ALERT_PROTOCOL_VERSION = 70,
	ALERT_INSUFFICIENT_SECURITY = 71,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_INAPPROPRIATE_FALLBACK = 86,
	ALERT_USER_CANCELED = 90,
	ALERT_NO_RENEGOTIATION = 100,
	ALERT_UNRECOGNIZED_NAME = 112,
	ALERT_NO_APPLICATION_PROTOCOL = 120,
};

/* Who makes records of what is sent. */
enum tls_sealer {
	SEALED_HERE,      /* record.c */
	SEALED_BY_KERNEL, /* ktls.c: what the socket is given is content */
	SEALED_HERE_ONLY, /* the kernel would not */
};

/* What a client's certificate said. */
struct tls_client {
	char fingerprint[65];
	char subject[];
};

struct tls {
	struct tls_engine *engine;
	struct account *account;
	const struct tls_site *site; /* whose client it is, or … */
	struct tls_peer *peer;       /* … which server; the other is NULL */
	struct handshake *handshake; /* NULL: not begun, or complete and no more of use */
	struct buffer *in;           /* received, and not delivered; NULL: nothing */
	struct buffer *out;          /* sealed, and not sent; NULL: nothing */
	char *name;
	struct tls_client *client;
	const char *cipher;
	uint64_t wire;    /* bytes sent, whatever they were */
	uint64_t sent_ns; /* the last of them */
	uint32_t ready;   /* bytes of content at the start of `in` */
	uint32_t owed;  /* bytes of content that `out` stands for, and that nobody counts as sent */
	uint32_t burst; /* bytes sent since a pause, as far as that matters */
	uint32_t carried; /* bytes received since `idle` was 0 */
	uint32_t skips;   /* bytes of a ticket that are still to come */
	uint16_t idle;    /* records that carried nothing */
	uint16_t most;    /* bytes of content in a record: max_fragment_length (RFC 6066) */
	uint8_t fault;    /* enum fw_verdict */
	uint8_t sealer;   /* enum tls_sealer */
	bool greeted;     /* the ClientHello is whole, in `in` */
	bool open;        /* the handshake is complete */
	bool resumed;
	bool offers_http2, http2; /* as an application protocol; and it was chosen */
	bool ended;               /* the client sends no more */
	bool closed;              /* we send no more: close_notify is sent, or in `out` */
	bool owes_key_update;     /* before the next record */
	struct records records;
};

/* tls.c */
/* Lets go of the library's objects. */
void tls_end_handshake(struct tls *tls);
/* Sends an alert in plain text, before there are keys. */
void tls_alert_plainly(struct stream *stream, enum tls_alert alert);
/* Lets go of everything; the stream is plain again. */
void tls_free(struct stream *stream);

/* tls_read.c, tls_write.c: stream.h's functions for a stream with TLS. */
ssize_t tls_read(struct stream *stream, void *data, size_t size);
ssize_t tls_write(struct stream *stream, const struct iovec *parts, int count);
int tls_shutdown(struct stream *stream);
/* The same for content that passes by, to be sealed by the kernel: whether it may, 0 or −errno, and
 * that @size bytes have. */
int tls_pass(struct stream *stream);
void tls_passed(struct stream *stream, size_t size);

/* tls_client.c: the handshake with a server. NULL: no memory. */
struct handshake *tls_client_handshake(struct stream *stream);
/* Why it failed: in the log, too. */
enum fw_verdict tls_client_explain(const struct handshake *handshake);
/* Whether a complete one is to see a ticket first; it is kept for as long, and given up by
 * tls_client_await_no_ticket(). */
bool tls_client_wants_ticket(const struct tls *tls);
void tls_client_await_ticket(struct tls *tls);
void tls_client_await_no_ticket(struct tls *tls);
/* Takes the tickets off the front of what was in a record of TLS 1.3's handshake, which came as the
 * @size bytes at @record. 0, or −EBADMSG. */
int tls_client_take_tickets(struct tls *tls, struct record_content *content, const uint8_t *record,
			    size_t size);
/* Logs that an alert ends the connection: the server's, or one to it. */
void tls_client_note_fault(const struct stream *stream, enum tls_alert alert, bool received);

/* tls_write.c, for tls_read.c */
/* Warns the client, if there is room to. 0 or −errno. */
int tls_warn(struct stream *stream, enum tls_alert alert);
/* Ends it for a reason of ours, which the client is told if there is room. Always −EPROTO. */
int tls_fail(struct stream *stream, enum fw_verdict verdict, enum tls_alert alert);

#endif
