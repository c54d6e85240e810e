// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/site.h"
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/net/tls/credentials/context.h"
#include "proxy/net/tls/credentials/resumption.h"
#include "proxy/net/tls/record/ktls.h"

enum {
	CLIENT_CHAIN_MAX = 32 << 10, /* bytes that a client may send as its certificates */
	STAPLES_MAX = 4,             /* one for each kind of key */
};

/* A staple, and the certificate that it is for. */
struct stapled {
	X509 *leaf;
	unsigned char *data;
	size_t size;
	time_t until;
};

/* Certificates of one set of names. */
struct identity {
	SSL_CTX *context;
	const struct certificate *first; /* while the site is made: whose names they are */
	struct stapled staples[STAPLES_MAX];
	size_t staple_count;
};

struct name {
	char *text;
	SSL_CTX *context;
};

struct tls_site {
	const struct ticket_keys *tickets;
	struct identity *identities;
	size_t identity_count;
	struct name *names; /* sorted */
	size_t name_count;
	bool is_http, strict, forwards_client, hands_over;
};

/* --- what the library asks during a handshake --------------------------------------------------
 */

static int staple(SSL *ssl, void *argument)
{
	const struct identity *identity = argument;
	const X509 *leaf = SSL_get_certificate(ssl);
	time_t now = time(NULL);

	for (size_t i = 0; i < identity->staple_count; i++) {
		const struct stapled *held = &identity->staples[i];
		unsigned char *copy;

		if (held->leaf != leaf || (held->until && held->until < now))
			continue;
		copy = OPENSSL_memdup(held->data, held->size);
		if (!copy)
			break;
		SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)held->size);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* What is spoken inside: in order of preference, each with its length. */
static const unsigned char http_protocols[] = "\x02h2\x08http/1.1";

enum { HTTP2_LENGTH = 3 };

/* A client that speaks nothing of ours was meant for another server: it is refused, so that nobody
 * can make it talk to the wrong one (RFC 7301 section 3.2; ALPACA). */
static int select_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *length,
			   const unsigned char *offered, unsigned int offered_length,
			   void *argument)
{
	unsigned int skipped = context_notes(ssl)->offers_http2 ? 0 : HTTP2_LENGTH;
	unsigned char *found;

	(void)argument;
	if (SSL_select_next_proto(&found, length, http_protocols + skipped,
				  sizeof(http_protocols) - 1 - skipped, offered,
				  offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

/* --- contexts ----------------------------------------------------------------------------------
 */

static bool demand_client_certificates(SSL_CTX *context, const struct config_tls *tls,
				       STACK_OF(X509) * authorities)
{
	int mode = SSL_VERIFY_PEER;

	if (tls->client_certificate == CLIENT_CERTIFICATE_NONE)
		return true;
	if (tls->client_certificate == CLIENT_CERTIFICATE_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(context, mode, NULL);
	SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_MAX);
	for (int i = 0; i < sk_X509_num(authorities); i++)
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
					sk_X509_value(authorities, i)) != 1 ||
		    SSL_CTX_add_client_CA(context, sk_X509_value(authorities, i)) != 1)
			return false;
	return true;
}

static SSL_CTX *make_context(const struct config_service *listener, struct tls_site *site,
			     STACK_OF(X509) * authorities)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context || !context_prepare(context, listener->tls.only_13) ||
	    !resumption_prepare(context, listener, authorities, site->tickets) ||
	    !demand_client_certificates(context, &listener->tls, authorities)) {
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (site->is_http)
		SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
	return context;
}

/* --- certificates to contexts ------------------------------------------------------------------
 */

static bool same_names(const struct certificate *a, const struct certificate *b)
{
	if (a->name_count != b->name_count)
		return false;
	for (size_t i = 0; i < a->name_count; i++)
		if (strcmp(a->names[i], b->names[i]))
			return false;
	return true;
}

/* Whether the context has a certificate with a key of that kind. */
static bool has_kind(SSL_CTX *context, const struct certificate *certificate)
{
	int kind = EVP_PKEY_get_base_id(certificate->key), more;

	for (more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_FIRST); more == 1;
	     more = SSL_CTX_set_current_cert(context, SSL_CERT_SET_NEXT))
		if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(context)) == kind)
			return true;
	return false;
}

/* Of the same names and no key of this kind yet, or a new one. NULL: no memory. */
static struct identity *find_identity(const struct config_service *listener, struct tls_site *site,
				      const struct certificate *certificate,
				      STACK_OF(X509) * authorities)
{
	struct identity *identity;

	for (size_t i = 0; i < site->identity_count; i++) {
		identity = &site->identities[i];
		if (same_names(identity->first, certificate) &&
		    !has_kind(identity->context, certificate))
			return identity;
	}
	identity = &site->identities[site->identity_count];
	identity->first = certificate;
	identity->context = make_context(listener, site, authorities);
	if (!identity->context)
		return NULL;
	SSL_CTX_set_tlsext_status_cb(identity->context, staple);
	SSL_CTX_set_tlsext_status_arg(identity->context, identity);
	site->identity_count++;
	return identity;
}

static void add_staple(struct identity *identity, struct certificate *certificate)
{
	if (!certificate->staple || identity->staple_count == STAPLES_MAX)
		return;
	X509_up_ref(certificate->leaf);
	identity->staples[identity->staple_count++] =
		(struct stapled){certificate->leaf, certificate->staple, certificate->staple_size,
				 certificate->staple_until};
	certificate->staple = NULL;
}

static void add_names(struct tls_site *site, const struct certificate *certificate,
		      SSL_CTX *context)
{
	for (size_t i = 0; i < certificate->name_count; i++) {
		char *text = strdup(certificate->names[i]);

		if (text)
			site->names[site->name_count++] = (struct name){text, context};
	}
}

static bool add_certificate(const struct config_service *listener, struct tls_site *site,
			    const char *owner, struct certificate *certificate,
			    STACK_OF(X509) * authorities, struct diagnostics *faults)
{
	struct identity *identity = find_identity(listener, site, certificate, authorities);
	const char *reason;

	if (!identity) {
		certificate_complain(faults, owner, "certificate", certificate->file,
				     "the TLS library refuses: %s",
				     ERR_reason_error_string(ERR_get_error()));
		return false;
	}
	if (SSL_CTX_use_cert_and_key(identity->context, certificate->leaf, certificate->key,
				     certificate->chain, 1) != 1) {
		reason = ERR_reason_error_string(ERR_peek_last_error());
		certificate_complain(faults, owner, "certificate", certificate->file,
				     "can't be used: %s", reason ? reason : "unknown reason");
		ERR_clear_error();
		return false;
	}
	add_staple(identity, certificate);
	add_names(site, certificate, identity->context);
	return true;
}

/* Of the same name, the one that was given first comes first: qsort() need not keep the order, but
 * contexts do. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Stable, and short: names are few. */
static void sort_names(struct tls_site *site)
{
	for (size_t i = 1; i < site->name_count; i++) {
		struct name name = site->names[i];
		size_t at = i;

		for (; at > 0 && compare_names(&site->names[at - 1], &name) > 0; at--)
			site->names[at] = site->names[at - 1];
		site->names[at] = name;
	}
}

static bool allocate(struct tls_site *site, const struct certificates *certificates)
{
	size_t names = 0;

	for (size_t i = 0; i < certificates->count; i++)
		names += certificates->list[i].name_count;
	site->names = calloc(names + 1, sizeof(*site->names));
	site->identities = calloc(certificates->count + 1, sizeof(*site->identities));
	return site->names && site->identities;
}

struct tls_site *site_create(const struct config_service *listener,
			     struct certificates *certificates, const struct ticket_keys *tickets,
			     struct diagnostics *faults)
{
	const struct config_tls *tls = &listener->tls;
	STACK_OF(X509) *authorities = NULL;
	struct tls_site *site = calloc(1, sizeof(*site));
	bool good = site && allocate(site, certificates);

	if (good && tls->client_ca.path) {
		authorities = certificates_read(certificates->owner, "client_ca", &tls->client_ca,
						faults);
		good = authorities != NULL;
	}
	if (good) {
		site->tickets = tls->tickets ? tickets : NULL;
		site->is_http = listener->protocol == PROTOCOL_HTTP;
		site->strict = tls->strict_sni;
		site->forwards_client = tls->forward_client;
		site->hands_over = tls->kernel && ktls_is_there();
	}
	for (size_t i = 0; good && i < certificates->count; i++)
		good = add_certificate(listener, site, certificates->owner, &certificates->list[i],
				       authorities, faults);
	sk_X509_pop_free(authorities, X509_free);
	if (!good) {
		site_free(site);
		return NULL;
	}
	sort_names(site);
	return site;
}

void site_free(struct tls_site *site)
{
	if (!site)
		return;
	for (size_t i = 0; site->identities && i < site->identity_count; i++) {
		struct identity *identity = &site->identities[i];

		SSL_CTX_free(identity->context);
		for (size_t j = 0; j < identity->staple_count; j++) {
			X509_free(identity->staples[j].leaf);
			free(identity->staples[j].data);
		}
	}
	for (size_t i = 0; i < site->name_count; i++)
		free(site->names[i].text);
	free(site->names);
	free(site->identities);
	free(site);
}

/* --- names -------------------------------------------------------------------------------------
 */

/* The first of that name; NULL: none. */
static SSL_CTX *find_name(const struct tls_site *site, const char *text)
{
	size_t low = 0, high = site->name_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(site->names[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < site->name_count && !strcmp(site->names[low].text, text)
		       ? site->names[low].context
		       : NULL;
}

SSL_CTX *site_context(const struct tls_site *site, const char *name)
{
	SSL_CTX *found = *name ? find_name(site, name) : NULL;
	const char *dot = strchr(name, '.');
	char wildcard[256];

	/* A wildcard stands for one whole label (RFC 6125 section 6.4.3). */
	if (!found && dot && dot != name && strlen(dot) < sizeof(wildcard) - 1) {
		wildcard[0] = '*';
		strcpy(wildcard + 1, dot);
		found = find_name(site, wildcard);
	}
	if (!found && !(site->strict && *name))
		found = site->identities[0].context;
	return found;
}

bool site_hands_over(const struct tls_site *site)
{
	return site->hands_over;
}

bool site_forwards_client(const struct tls_site *site)
{
	return site->forwards_client;
}
