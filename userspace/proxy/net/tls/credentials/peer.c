// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/peer.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "contract/address.h"
#include "proxy/net/tls/credentials/certificate.h"
#include "proxy/net/tls/credentials/context.h"

#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"
#define COMPLAINS_EVERY_NS (10 * CLOCK_SEC)

enum {
	CHAIN_MAX = 64 << 10,   /* bytes that a server may send as its certificates */
	DEPTH_MAX = 8,          /* between its certificate and the authority's */
	SESSION_MAX = 16 << 10, /* bytes that are remembered of one server */
	SESSION_KEPT_S = 3600,  /* what was verified then is believed so long */
};

/* A session as bytes: the library's object may be in one thread's hands only. */
struct session {
	unsigned char *data; /* NULL: none */
	int size;
	time_t until;
};

struct tls_peer {
	SSL_CTX *context;
	char *label; /* "upstream app: server 127.0.0.1:8443" */
	char *name;  /* to be proven */
	bool is_address, verify, resume;
	pthread_mutex_t lock;
	struct session session; /* under the lock */
	_Atomic uint64_t complained_ns;
	atomic_uint unsaid; /* complaints since */
};

/* --- whom to trust -----------------------------------------------------------------------------
 */

static bool trust_all(X509_STORE *store, STACK_OF(X509) * authorities)
{
	for (int i = 0; i < sk_X509_num(authorities); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(authorities, i)) != 1)
			return false;
	return true;
}

/* Every certificate in a file, each an authority, or the server's own. NULL: complained about. */
static X509_STORE *read_store(const char *owner, const struct config_file *file,
			      struct diagnostics *faults)
{
	STACK_OF(X509) *authorities = certificates_read(owner, "ca", file, faults);
	X509_STORE *store = authorities ? X509_STORE_new() : NULL;

	if (store && !trust_all(store, authorities)) {
		certificate_complain(faults, owner, "ca", file, "can't be used: %s",
				     ERR_reason_error_string(ERR_get_error()));
		X509_STORE_free(store);
		store = NULL;
	}
	sk_X509_pop_free(authorities, X509_free);
	return store;
}

static X509_STORE *store_of(const char *owner, const struct config_upstream_tls *tls,
			    struct peer_trust *trust, struct diagnostics *faults)
{
	struct config_file system = {(char *)SYSTEM_AUTHORITIES, tls->line};

	if (tls->ca.path)
		return read_store(owner, &tls->ca, faults);
	if (!trust->system)
		trust->system = read_store(owner, &system, faults);
	if (trust->system)
		X509_STORE_up_ref(trust->system);
	return trust->system;
}

void peer_trust_drop(struct peer_trust *trust)
{
	X509_STORE_free(trust->system);
	trust->system = NULL;
}

/* --- a context ---------------------------------------------------------------------------------
 */

static int note_session(SSL *ssl, SSL_SESSION *session)
{
	peer_keep_session(context_notes(ssl)->peer, session);
	return 0; /* it stays the library's */
}

static bool demand_proof(SSL_CTX *context, const char *owner, const struct config_upstream_tls *tls,
			 struct peer_trust *trust, struct diagnostics *faults)
{
	X509_STORE *store;

	SSL_CTX_set_max_cert_list(context, CHAIN_MAX);
	if (!tls->verify)
		return true;
	store = store_of(owner, tls, trust, faults);
	if (!store)
		return false;
	SSL_CTX_set_cert_store(context, store);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(context, DEPTH_MAX);
	/* Trusted is what the file names, whether or not somebody above it signed it. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	return true;
}

static bool show_certificate(SSL_CTX *context, const char *owner,
			     const struct config_upstream_tls *tls, struct diagnostics *faults,
			     struct diagnostics *warnings)
{
	static const struct config_files none;
	const struct certificate_files files = {owner, &tls->certificates, &tls->keys, &none};
	size_t before = faults->count;
	struct certificates ours;

	certificates_load(&files, &ours, faults, warnings);
	for (size_t i = 0; i < ours.count && faults->count == before; i++)
		if (SSL_CTX_use_cert_and_key(context, ours.list[i].leaf, ours.list[i].key,
					     ours.list[i].chain, 1) != 1)
			certificate_complain(faults, owner, "certificate", ours.list[i].file,
					     "can't be used: %s",
					     ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	certificates_free(&ours);
	return faults->count == before;
}

static void remember_sessions(SSL_CTX *context, bool resume)
{
	if (resume) {
		SSL_CTX_set_session_cache_mode(context,
					       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(context, note_session);
	} else {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	}
}

static SSL_CTX *make_context(const char *owner, const struct config_upstream_tls *tls,
			     struct peer_trust *trust, struct diagnostics *faults,
			     struct diagnostics *warnings)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context || !context_prepare(context, tls->only_13)) {
		diagnostics_add(faults, tls->line, "%s: tls: the TLS library refuses: %s", owner,
				ERR_reason_error_string(ERR_get_error()));
	} else if (demand_proof(context, owner, tls, trust, faults) &&
		   show_certificate(context, owner, tls, faults, warnings)) {
		remember_sessions(context, tls->resume);
		return context;
	}
	SSL_CTX_free(context);
	return NULL;
}

/* --- peers -------------------------------------------------------------------------------------
 */

/* The host of "HOST:PORT" or "[HOST]:PORT". NULL: no memory. */
static char *host_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : strlen(address);

	if (*address == '[' && length > 2)
		return strndup(address + 1, length - 2);
	return strndup(address, length);
}

static struct tls_peer *make_peer(const struct config_upstream *upstream,
				  const struct config_server *server, SSL_CTX *context)
{
	struct tls_peer *peer = calloc(1, sizeof(*peer));
	const struct config_upstream_tls *tls = &upstream->tls;
	struct fw_addr address;
	struct error unread;

	if (!peer)
		return NULL;
	pthread_mutex_init(&peer->lock, NULL);
	peer->verify = tls->verify;
	peer->resume = tls->resume;
	if (tls->name || server->host)
		peer->name = strdup(tls->name ? tls->name : server->host);
	else
		peer->name = host_of(server->address);
	if (!peer->name ||
	    asprintf(&peer->label, "upstream %s: server %s", upstream->name, server->address) < 0) {
		peer->label = NULL;
		peer_free(peer);
		return NULL;
	}
	peer->is_address = address_parse(peer->name, &address, &unread) == 0;
	SSL_CTX_up_ref(context);
	peer->context = context;
	return peer;
}

void peers_create(const struct config_upstream *upstream, struct peer_trust *trust,
		  struct tls_peer **peers, struct diagnostics *faults, struct diagnostics *warnings)
{
	const struct config_upstream_tls *tls = &upstream->tls;
	char owner[FW_NAME_SIZE + 16];
	SSL_CTX *context;
	size_t made = 0;

	snprintf(owner, sizeof(owner), "upstream %s", upstream->name);
	context = make_context(owner, tls, trust, faults, warnings);
	while (context && made < upstream->server_count &&
	       (peers[made] = make_peer(upstream, &upstream->servers[made], context)))
		made++;
	if (context && made < upstream->server_count)
		diagnostics_add(faults, tls->line, "%s: tls: out of memory", owner);
	SSL_CTX_free(context);
}

static void drop_session(struct session *session)
{
	OPENSSL_clear_free(session->data, (size_t)session->size);
	*session = (struct session){0};
}

void peer_free(struct tls_peer *peer)
{
	if (!peer)
		return;
	drop_session(&peer->session);
	pthread_mutex_destroy(&peer->lock);
	SSL_CTX_free(peer->context);
	free(peer->label);
	free(peer->name);
	free(peer);
}

SSL_CTX *peer_context(const struct tls_peer *peer)
{
	return peer->context;
}

const char *peer_name(const struct tls_peer *peer)
{
	return peer->name;
}

bool peer_is_verified(const struct tls_peer *peer)
{
	return peer->verify;
}

bool peer_is_resumed(const struct tls_peer *peer)
{
	return peer->resume;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

void peer_keep_session(struct tls_peer *peer, SSL_SESSION *session)
{
	long good_for_s = SSL_SESSION_get_timeout(session);
	int size = i2d_SSL_SESSION(session, NULL);
	struct session fresh = {.size = size};
	unsigned char *end;

	if (size <= 0 || size > SESSION_MAX || !SSL_SESSION_is_resumable(session))
		return;
	fresh.data = end = OPENSSL_malloc((size_t)size);
	if (!fresh.data)
		return;
	i2d_SSL_SESSION(session, &end);
	fresh.until = time(NULL) + (good_for_s < SESSION_KEPT_S ? good_for_s : SESSION_KEPT_S);
	pthread_mutex_lock(&peer->lock);
	drop_session(&peer->session);
	peer->session = fresh;
	pthread_mutex_unlock(&peer->lock);
}

void peer_forget_session(struct tls_peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	drop_session(&peer->session);
	pthread_mutex_unlock(&peer->lock);
}

/* NULL: there is none. */
static SSL_SESSION *recall_session(struct tls_peer *peer)
{
	SSL_SESSION *session = NULL;
	const unsigned char *data;

	pthread_mutex_lock(&peer->lock);
	if (peer->session.data && peer->session.until < time(NULL))
		drop_session(&peer->session);
	data = peer->session.data;
	if (data)
		session = d2i_SSL_SESSION(NULL, &data, peer->session.size);
	pthread_mutex_unlock(&peer->lock);
	return session;
}

/* --- a handshake -------------------------------------------------------------------------------
 */

/* A certificate's subject is nobody's name (RFC 9525 section 2): the SANs are. */
static bool expect_name(const struct tls_peer *peer, SSL *ssl)
{
	if (peer->is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), peer->name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, peer->name) == 1 &&
	       SSL_set_tlsext_host_name(ssl, peer->name) == 1;
}

bool peer_prepare(struct tls_peer *peer, SSL *ssl)
{
	static const unsigned char protocols[] = "\x02h2\x08http/1.1";
	SSL_SESSION *session = peer->resume ? recall_session(peer) : NULL;

	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	return expect_name(peer, ssl) &&
	       (!context_notes(ssl)->offers_http2 ||
		SSL_set_alpn_protos(ssl, protocols, sizeof(protocols) - 1) == 0);
}

/* --- complaints --------------------------------------------------------------------------------
 */

void peer_complain(struct tls_peer *peer, uint64_t now_ns, const char *format, ...)
{
	uint64_t last_ns = atomic_load(&peer->complained_ns);
	char text[256], others[64] = "";
	unsigned int unsaid;
	va_list arguments;

	if ((last_ns && now_ns - last_ns < COMPLAINS_EVERY_NS) ||
	    !atomic_compare_exchange_strong(&peer->complained_ns, &last_ns, now_ns)) {
		atomic_fetch_add(&peer->unsaid, 1);
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	unsaid = atomic_exchange(&peer->unsaid, 0);
	if (unsaid)
		snprintf(others, sizeof(others), " (%u more since the last of these lines)",
			 unsaid);
	log_warning("%s: TLS: %s%s", peer->label, text, others);
}
