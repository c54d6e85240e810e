// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/net/tls/credentials/certificate.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proxy/net/tls/credentials/staple.h"

enum { EXPIRES_SOON_DAYS = 14, TIME_TEXT = 64, FILE_SIZE_MAX = 1 << 20 };

void certificate_complain(struct diagnostics *diagnostics, const char *owner, const char *option,
			  const struct config_file *file, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	diagnostics_add(diagnostics, file->line, "%s: tls.%s: %s: %s", owner, option, file->path,
			text);
}

/* --- files -------------------------------------------------------------------------------------
 */

/* The whole file in memory that is wiped when it is freed: stdio would leave a copy of a private
 * key in a buffer of its own. NULL: complained about. */
static BIO *open_file(const char *owner, const char *option, const struct config_file *file,
		      struct diagnostics *faults)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	char *data = fd < 0 ? NULL : OPENSSL_malloc(FILE_SIZE_MAX + 1);
	ssize_t size = data ? read(fd, data, FILE_SIZE_MAX + 1) : -1;
	BIO *bio = size >= 0 ? BIO_new(BIO_s_mem()) : NULL;

	if (size < 0)
		certificate_complain(faults, owner, option, file, "can't be read: %s",
				     strerror(errno));
	else if (size > FILE_SIZE_MAX)
		certificate_complain(faults, owner, option, file, "is larger than %d bytes",
				     FILE_SIZE_MAX);
	if (size > FILE_SIZE_MAX || (bio && BIO_write(bio, data, (int)size) != size)) {
		BIO_free(bio);
		bio = NULL;
	}
	OPENSSL_clear_free(data, FILE_SIZE_MAX + 1);
	if (fd >= 0)
		close(fd);
	return bio;
}

STACK_OF(X509) * certificates_read(const char *owner, const char *option,
				   const struct config_file *file, struct diagnostics *faults)
{
	BIO *bio = open_file(owner, option, file, faults);
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *each;

	if (!bio || !list) {
		BIO_free(bio);
		sk_X509_free(list);
		return NULL;
	}
	while ((each = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		sk_X509_push(list, each);
	BIO_free(bio);
	ERR_clear_error();
	if (sk_X509_num(list) > 0)
		return list;
	certificate_complain(faults, owner, option, file,
			     "there is no certificate in it (PEM: BEGIN CERTIFICATE)");
	sk_X509_free(list);
	return NULL;
}

/* Nobody is there to type it. */
static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* NULL: there is none, complained about. */
static EVP_PKEY *read_key(const char *owner, const char *option, const struct config_file *file,
			  struct diagnostics *faults, struct diagnostics *warnings)
{
	BIO *bio = open_file(owner, option, file, faults);
	struct stat about;
	bool asked = false;
	EVP_PKEY *key;

	if (!bio)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (asked)
		certificate_complain(faults, owner, option, file,
				     "the key is encrypted; write it without a passphrase, "
				     "readable by root alone");
	else if (!key)
		certificate_complain(faults, owner, option, file,
				     "there is no private key in it (PEM: BEGIN PRIVATE KEY)");
	else if (stat(file->path, &about) == 0 && (about.st_mode & (S_IROTH | S_IWOTH)))
		certificate_complain(warnings, owner, option, file,
				     "every user of this machine can read the private key; chmod "
				     "600");
	return key;
}

/* --- names -------------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(struct certificate *certificate)
{
	size_t kept = 0;

	qsort(certificate->names, certificate->name_count, sizeof(char *), compare_names);
	for (size_t i = 0; i < certificate->name_count; i++) {
		if (kept && !strcmp(certificate->names[kept - 1], certificate->names[i]))
			free(certificate->names[i]);
		else
			certificate->names[kept++] = certificate->names[i];
	}
	certificate->name_count = kept;
}

static char *copy_lower(const char *text, size_t length)
{
	char *copy = strndup(text, length);

	for (char *c = copy; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

static void read_names(struct certificate *certificate)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
	int count = list ? sk_GENERAL_NAME_num(list) : 0;

	certificate->names = calloc((size_t)count + 1, sizeof(char *));
	for (int i = 0; certificate->names && i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);
		const char *text;
		char *copy;

		if (name->type != GEN_DNS)
			continue;
		text = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
		copy = copy_lower(text, (size_t)ASN1_STRING_length(name->d.dNSName));
		if (copy)
			certificate->names[certificate->name_count++] = copy;
	}
	GENERAL_NAMES_free(list);
	if (certificate->names)
		sort_names(certificate);
}

/* --- validity ----------------------------------------------------------------------------------
 */

static const char *format_time(const ASN1_TIME *time, char text[TIME_TEXT])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int length = 0;

	if (bio && ASN1_TIME_print(bio, time) == 1)
		length = BIO_read(bio, text, TIME_TEXT - 1);
	BIO_free(bio);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void check_validity(const char *owner, const struct certificate *certificate,
			   struct diagnostics *faults, struct diagnostics *warnings)
{
	const ASN1_TIME *begin = X509_get0_notBefore(certificate->leaf);
	const ASN1_TIME *end = X509_get0_notAfter(certificate->leaf);
	char text[TIME_TEXT];
	int days = 0, seconds = 0;

	if (X509_cmp_current_time(end) <= 0)
		certificate_complain(faults, owner, "certificate", certificate->file,
				     "expired on %s", format_time(end, text));
	else if (ASN1_TIME_diff(&days, &seconds, NULL, end) == 1 && days < EXPIRES_SOON_DAYS)
		certificate_complain(warnings, owner, "certificate", certificate->file,
				     "expires in %d days, on %s", days, format_time(end, text));
	if (X509_cmp_current_time(begin) > 0)
		certificate_complain(warnings, owner, "certificate", certificate->file,
				     "is not valid before %s", format_time(begin, text));
}

/* --- all of a listener's -----------------------------------------------------------------------
 */

static bool read_certificate(const char *owner, const struct config_file *file,
			     struct certificate *certificate, struct diagnostics *faults,
			     struct diagnostics *warnings)
{
	*certificate = (struct certificate){.file = file};
	certificate->chain = certificates_read(owner, "certificate", file, faults);
	if (!certificate->chain)
		return false;
	certificate->leaf = sk_X509_shift(certificate->chain);
	read_names(certificate);
	check_validity(owner, certificate, faults, warnings);
	return true;
}

/* Gives the key to each certificate that it fits. False: there is none. */
static bool assign_key(const struct certificates *certificates, EVP_PKEY *key)
{
	bool fits = false;

	for (size_t i = 0; i < certificates->count; i++) {
		struct certificate *certificate = &certificates->list[i];

		if (X509_check_private_key(certificate->leaf, key) != 1)
			continue;
		fits = true;
		if (!certificate->key && EVP_PKEY_up_ref(key) == 1)
			certificate->key = key;
	}
	ERR_clear_error();
	return fits;
}

static void load_keys(const struct certificate_files *files,
		      const struct certificates *certificates, struct diagnostics *faults,
		      struct diagnostics *warnings)
{
	bool apart = files->keys->count > 0;
	const struct config_files *holders = apart ? files->keys : files->certificates;
	const char *option = apart ? "key" : "certificate";
	bool all_read = true;

	for (size_t i = 0; i < holders->count; i++) {
		EVP_PKEY *key = read_key(files->owner, option, &holders->list[i], faults, warnings);

		all_read &= key != NULL;
		if (key && !assign_key(certificates, key))
			certificate_complain(faults, files->owner, option, &holders->list[i],
					     "the key belongs to none of the certificates");
		EVP_PKEY_free(key);
	}
	for (size_t i = 0; all_read && i < certificates->count; i++)
		if (!certificates->list[i].key)
			certificate_complain(faults, files->owner, "certificate",
					     certificates->list[i].file,
					     "none of the keys belongs to this certificate");
}

void certificates_load(const struct certificate_files *files, struct certificates *certificates,
		       struct diagnostics *faults, struct diagnostics *warnings)
{
	const struct config_files *chains = files->certificates;

	*certificates = (struct certificates){.owner = files->owner};
	certificates->list = calloc(chains->count + 1, sizeof(*certificates->list));
	for (size_t i = 0; certificates->list && i < chains->count; i++)
		if (read_certificate(files->owner, &chains->list[i],
				     &certificates->list[certificates->count], faults, warnings))
			certificates->count++;
	load_keys(files, certificates, faults, warnings);
	for (size_t i = 0; i < files->staples->count; i++)
		staple_load(&files->staples->list[i], certificates, faults, warnings);
}

void certificates_free(struct certificates *certificates)
{
	for (size_t i = 0; i < certificates->count; i++) {
		struct certificate *certificate = &certificates->list[i];

		X509_free(certificate->leaf);
		sk_X509_pop_free(certificate->chain, X509_free);
		EVP_PKEY_free(certificate->key);
		for (size_t j = 0; j < certificate->name_count; j++)
			free(certificate->names[j]);
		free(certificate->names);
		free(certificate->staple);
	}
	free(certificates->list);
}
