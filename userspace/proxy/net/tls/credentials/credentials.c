// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/credentials.h"
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/pieces.h"
#include "config/diagnostics.h"
#include "proxy/net/tls/credentials/peer.h"
#include "proxy/net/tls/credentials/site.h"

struct credentials {
	const struct config_service *first; /* listener, whose site is sites[0] */
	size_t count;
	const struct config_upstream *first_upstream; /* whose peers are peers[0] … */
	size_t upstream_count;
	struct tls_peer ***peers; /* by upstream and server; NULL: without TLS */
	struct tls_site *sites[];
};

/* --- memory of the library ---------------------------------------------------------------------
 *
 * Decoding a private key leaves copies of it in what the library frees on its way. All processes
 * descend from the one that does it; so whatever the library frees meanwhile is wiped first. Of
 * what it frees later it wipes the secrets by itself.
 */

static bool reads_keys;

static void *take_memory(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return pieces_take(size);
}

static void give_memory(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	if (memory && reads_keys)
		explicit_bzero(memory, malloc_usable_size(memory));
	pieces_give(memory);
}

static void *resize_memory(void *memory, size_t size, const char *file, int line)
{
	size_t before = memory ? malloc_usable_size(memory) : 0;
	void *other;

	if (size && size <= before)
		return memory;
	other = size ? pieces_take(size) : NULL;
	if (size && !other)
		return NULL;
	if (other && memory)
		memcpy(other, memory, before);
	give_memory(memory, file, line);
	return other;
}

static void wipe_what_is_freed(void)
{
	/* Refused only when the library has been used already. */
	if (CRYPTO_set_mem_functions(take_memory, resize_memory, give_memory) != 1)
		log_warning("TLS: the library's memory can't be wiped as it is freed");
}

/* --- listeners ---------------------------------------------------------------------------------
 */

static void load_site(const struct config_service *listener, const struct ticket_keys *tickets,
		      struct tls_site **site, struct diagnostics *faults,
		      struct diagnostics *warnings)
{
	char owner[FW_NAME_SIZE + 16];
	const struct certificate_files files = {owner, &listener->tls.certificates,
						&listener->tls.keys, &listener->tls.staples};
	struct certificates certificates;

	snprintf(owner, sizeof(owner), "listener %s", listener->name);
	certificates_load(&files, &certificates, faults, warnings);
	if (!faults->count)
		*site = site_create(listener, &certificates, tickets, faults);
	/* Without a site the listener would speak plain text. */
	if (!*site && !faults->count)
		diagnostics_add(faults, listener->tls.line, "listener %s: tls: out of memory",
				listener->name);
	certificates_free(&certificates);
}

/* --- upstreams ---------------------------------------------------------------------------------
 */

static void load_peers(const struct config *config, struct credentials *credentials,
		       struct diagnostics *faults, struct diagnostics *warnings)
{
	struct peer_trust trust = {0};

	credentials->first_upstream = config->upstreams;
	credentials->peers = calloc(config->upstream_count + 1, sizeof(*credentials->peers));
	if (!credentials->peers)
		diagnostics_add(faults, 0, "tls: out of memory");
	for (size_t i = 0; credentials->peers && i < config->upstream_count; i++) {
		const struct config_upstream *upstream = &config->upstreams[i];
		struct tls_peer **peers;

		credentials->upstream_count = i + 1;
		if (!upstream->tls.enabled)
			continue;
		peers = calloc(upstream->server_count + 1, sizeof(struct tls_peer *));
		credentials->peers[i] = peers;
		/* Without peers the servers would be spoken with in plain text. */
		if (!peers)
			diagnostics_add(faults, upstream->tls.line,
					"upstream %s: tls: out of memory", upstream->name);
		else
			peers_create(upstream, &trust, peers, faults, warnings);
	}
	peer_trust_drop(&trust);
}

static void free_peers(struct credentials *credentials)
{
	for (size_t i = 0; i < credentials->upstream_count; i++) {
		struct tls_peer **peers = credentials->peers[i];

		for (size_t j = 0; peers && peers[j]; j++)
			peer_free(peers[j]);
		free(peers);
	}
	free(credentials->peers);
}

/* --- all ---------------------------------------------------------------------------------------
 */

int credentials_load(const struct config *config, const struct ticket_keys *tickets,
		     struct credentials **result, struct error *warnings, struct error *error)
{
	size_t count = config->listener_count;
	struct credentials *credentials =
		calloc(1, sizeof(*credentials) + count * sizeof(struct tls_site *));
	struct diagnostics faults = {0}, soon = {0};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int code = 0;

	pthread_once(&once, wipe_what_is_freed);
	if (!credentials)
		return error_set(error, -ENOMEM, "certificates: out of memory");
	credentials->first = config->services;
	credentials->count = count;
	reads_keys = true;
	for (size_t i = 0; i < count; i++)
		if (config->services[i].tls.enabled)
			load_site(&config->services[i], tickets, &credentials->sites[i], &faults,
				  &soon);
	load_peers(config, credentials, &faults, &soon);
	reads_keys = false;
	warnings->text[0] = '\0';
	if (soon.count)
		diagnostics_render(&soon, config->path, warnings);
	if (faults.count) {
		diagnostics_render(&faults, config->path, error);
		credentials_free(credentials);
		code = -EINVAL;
	} else {
		*result = credentials;
	}
	diagnostics_free(&soon);
	diagnostics_free(&faults);
	return code;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	reads_keys = true;
	for (size_t i = 0; i < credentials->count; i++)
		site_free(credentials->sites[i]);
	free_peers(credentials);
	free(credentials);
	reads_keys = false;
}

const struct tls_site *credentials_site(const struct credentials *credentials,
					const struct config_service *listener)
{
	return credentials->sites[listener - credentials->first];
}

struct tls_peer *credentials_peer(const struct credentials *credentials,
				  const struct config_upstream *upstream, size_t nth)
{
	struct tls_peer **peers = credentials->peers[upstream - credentials->first_upstream];

	return peers ? peers[nth] : NULL;
}
