// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/staple.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STAPLE_SIZE_MAX = 16384, /* what a handshake should carry */
	CLOCK_SLACK_S = 300,     /* by which a responder's clock may differ */
};

/* Whether the answer speaks of the certificate; its issuer stands next in the chain. */
static bool speaks_of(OCSP_SINGLERESP *answer, const struct certificate *certificate)
{
	const X509 *issuer = sk_X509_value(certificate->chain, 0);
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(answer);
	ASN1_OBJECT *digest = NULL;
	OCSP_CERTID *ours;
	bool same;

	if (!issuer || OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)id) != 1)
		return false;
	ours = OCSP_cert_to_id(EVP_get_digestbyobj(digest), certificate->leaf, issuer);
	same = ours && OCSP_id_cmp(ours, id) == 0;
	OCSP_CERTID_free(ours);
	return same;
}

static time_t time_of(const ASN1_GENERALIZEDTIME *time)
{
	struct tm parts;

	return time && ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

/* The response, if it is one about a certificate of ours, with its certificate and the end of its
 * validity. What is wrong with it is in *@fault. */
static struct certificate *judge(OCSP_BASICRESP *basic, const struct certificates *certificates,
				 time_t *until, const char **fault)
{
	ASN1_GENERALIZEDTIME *this_update, *next_update;
	int status;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *answer = OCSP_resp_get0(basic, i);

		for (size_t j = 0; j < certificates->count; j++) {
			if (!speaks_of(answer, &certificates->list[j]))
				continue;
			status = OCSP_single_get0_status(answer, NULL, NULL, &this_update,
							 &next_update);
			if (status == V_OCSP_CERTSTATUS_REVOKED)
				*fault = "it says that the certificate is revoked";
			else if (status != V_OCSP_CERTSTATUS_GOOD)
				*fault = "it says that the certificate is not known";
			*until = time_of(next_update);
			return &certificates->list[j];
		}
	}
	*fault = "it speaks of none of the certificates (the chain must include the issuer)";
	return NULL;
}

static void take(const struct config_file *file, const struct certificates *certificates,
		 const unsigned char *data, size_t size, struct diagnostics *faults,
		 struct diagnostics *warnings)
{
	const unsigned char *at = data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)size);
	OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
	struct certificate *certificate = NULL;
	const char *fault = NULL;
	time_t until = 0;

	if (!basic)
		fault = "it is not a successful OCSP response (DER)";
	else
		certificate = judge(basic, certificates, &until, &fault);
	if (fault) {
		certificate_complain(faults, certificates->owner, "ocsp", file, "%s", fault);
	} else if (until && until + CLOCK_SLACK_S < time(NULL)) {
		certificate_complain(warnings, certificates->owner, "ocsp", file,
				     "it is out of date, and not used");
	} else if (!certificate->staple && (certificate->staple = malloc(size))) {
		memcpy(certificate->staple, data, size);
		certificate->staple_size = size;
		certificate->staple_until = until;
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
}

void staple_load(const struct config_file *file, const struct certificates *certificates,
		 struct diagnostics *faults, struct diagnostics *warnings)
{
	unsigned char data[STAPLE_SIZE_MAX + 1];
	FILE *stream = fopen(file->path, "re");
	size_t size = stream ? fread(data, 1, sizeof(data), stream) : 0;

	if (!stream)
		certificate_complain(faults, certificates->owner, "ocsp", file, "can't be read: %s",
				     strerror(errno));
	else if (size > STAPLE_SIZE_MAX)
		certificate_complain(faults, certificates->owner, "ocsp", file,
				     "is larger than %d bytes", STAPLE_SIZE_MAX);
	else
		take(file, certificates, data, size, faults, warnings);
	if (stream)
		fclose(stream);
}
