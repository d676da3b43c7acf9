#include "net/tls_cert.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"

/* Certificates of one chain, names of one certificate: far above anything sensible. */
enum { CHAIN_MAX = 64, NAMES_MAX = 1024, NAME_MAX_LEN = 255 };

/* What to call a certificate in messages. */
static const char *label(const char *file, const struct conf_cert *c)
{
	return *file ? file : c->at.path ? c->at.path : "inline certificate";
}

static int complain(char *why, int err, const char *who, const char *what)
{
	snprintf(why, TLS_WHY_MAX, "%s: %s", who, what);
	ERR_clear_error();
	return err;
}

/* A key with a pass phrase must not stop the program to ask for it. */
static int no_pass_phrase(char *to, int cap, int rwflag, void *arg)
{
	(void)to;
	(void)cap;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

/* Opens @file, or reads @pem when there is no file. */
static BIO *open_pem(const char *file, const char *pem, const char *who, char *why)
{
	BIO *b;

	errno = 0;
	b = *file ? BIO_new_file(file, "r") : BIO_new_mem_buf(pem, -1);
	if (!b)
		complain(why, 0, who, errno ? strerror(errno) : "cannot be read");
	return b;
}

/* Reads certificates until the end, calling @each, which takes one; at least one. */
static int each_cert(const struct conf_cert *c, char *why,
		     int (*each)(void *arg, X509 *x, size_t i), void *arg)
{
	const char *who = label(c->cert_file, c);
	BIO *b = open_pem(c->cert_file, c->cert_pem, who, why);
	bool asked = false;
	size_t n = 0;
	int err = 0;

	if (!b)
		return -ERR_SYS;
	ERR_clear_error();
	while (!err && n < CHAIN_MAX) {
		X509 *x = PEM_read_bio_X509(b, NULL, no_pass_phrase, &asked);

		if (!x)
			break;
		err = each(arg, x, n++);
	}
	BIO_free(b);
	if (err)
		return complain(why, err, who, "this certificate is not usable here");
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE && n < CHAIN_MAX)
		return complain(why, -ERR_MALFORMED, who, "damaged PEM");
	if (n == 0)
		return complain(why, -ERR_MALFORMED, who, "no certificate in it");
	ERR_clear_error();
	return 0;
}

struct parts {
	X509 *leaf;
	STACK_OF(X509) *chain;
};

static int take_one(void *arg, X509 *x, size_t i)
{
	struct parts *p = arg;

	if (i == 0) {
		p->leaf = x;
		return 0;
	}
	if (!p->chain)
		p->chain = sk_X509_new_null();
	if (p->chain && sk_X509_push(p->chain, x))
		return 0;
	X509_free(x);
	return -ERR_NOMEM;
}

static int read_key(EVP_PKEY **out, const struct conf_cert *c, X509 *leaf, char *why)
{
	/* One PEM with both parts is allowed: the key is then looked for in the certificate's. */
	bool apart = *c->key_file || *c->key_pem;
	const char *file = apart ? c->key_file : c->cert_file;
	const char *pem = apart ? c->key_pem : c->cert_pem, *who = label(file, c);
	BIO *b = open_pem(file, pem, who, why);
	bool asked = false;
	EVP_PKEY *key;

	if (!b)
		return -ERR_SYS;
	key = PEM_read_bio_PrivateKey(b, NULL, no_pass_phrase, &asked);
	BIO_free(b);
	if (!key)
		return complain(why, -ERR_MALFORMED, who,
				asked ? "the private key has a pass phrase, which is not supported"
				      : "no usable private key in it");
	if (X509_check_private_key(leaf, key) != 1) {
		EVP_PKEY_free(key);
		return complain(why, -ERR_MALFORMED, who,
				"the private key does not belong to the certificate");
	}
	*out = key;
	return 0;
}

int tls_cert_read(X509 **leaf, STACK_OF(X509) **chain, EVP_PKEY **key, const struct conf_cert *c,
		  char *why)
{
	struct parts p = {NULL, NULL};
	int err = each_cert(c, why, take_one, &p);

	if (!err)
		err = read_key(key, c, p.leaf, why);
	if (err) {
		X509_free(p.leaf);
		sk_X509_pop_free(p.chain, X509_free);
		return err;
	}
	*leaf = p.leaf;
	*chain = p.chain;
	return 0;
}

int tls_cert_use(SSL_CTX *ctx, const struct conf_cert *c, char *why)
{
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
	X509 *leaf;
	int err = tls_cert_read(&leaf, &chain, &key, c, why);

	if (err)
		return err;
	if (SSL_CTX_use_certificate(ctx, leaf) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    (chain && SSL_CTX_set1_chain(ctx, chain) != 1))
		err = complain(why, -ERR_TLS, label(c->cert_file, c),
			       "this certificate is not usable here");
	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
	return err;
}

static int trust_one(void *arg, X509 *x, size_t i)
{
	int ok = X509_STORE_add_cert(arg, x);

	(void)i;
	X509_free(x);
	return ok == 1 ? 0 : -ERR_TLS;
}

int tls_cert_trust(X509_STORE *store, const struct conf_cert *c, char *why)
{
	return each_cert(c, why, trust_one, store);
}

static bool add_name(struct tls_pair *p, const ASN1_STRING *s)
{
	size_t n = (size_t)ASN1_STRING_length(s);
	const unsigned char *from = ASN1_STRING_get0_data(s);
	char *name;

	if (n == 0 || n > NAME_MAX_LEN || memchr(from, 0, n))
		return true; /* no name that a client could ask for */
	name = malloc(n + 1);
	if (!name)
		return false;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower(from[i]);
	name[n] = 0;
	p->names[p->n_names++] = name;
	return true;
}

static int read_names(struct tls_pair *p, X509 *leaf)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(leaf);
	int cn = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	int n = sans ? sk_GENERAL_NAME_num(sans) : 0;
	bool ok;

	n = n > NAMES_MAX ? NAMES_MAX : n;
	p->names = calloc((size_t)n + 1, sizeof(*p->names));
	ok = p->names != NULL;
	if (ok && cn >= 0)
		ok = add_name(p, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, cn)));
	for (int i = 0; ok && i < n; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(sans, i);

		if (g->type == GEN_DNS)
			ok = add_name(p, g->d.dNSName);
	}
	GENERAL_NAMES_free(sans);
	return ok ? 0 : -ERR_NOMEM;
}

static void stamp_take(struct tls_stamp *out, const char *file)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (!*file || stat(file, &st) == -1)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->mtime = st.st_mtim;
}

void tls_stamps_take(struct tls_stamps *out, const struct conf_cert *c)
{
	stamp_take(&out->cert, c->cert_file);
	stamp_take(&out->key, c->key_file);
}

static bool stamp_eq(const struct tls_stamp *a, const struct tls_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

bool tls_stamps_eq(const struct tls_stamps *a, const struct tls_stamps *b)
{
	return stamp_eq(&a->cert, &b->cert) && stamp_eq(&a->key, &b->key);
}

static void warn_dates(X509 *leaf, const struct conf_cert *c)
{
	const char *who = label(c->cert_file, c);

	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		log_warn("tls", "%s: the certificate has expired", who);
	else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		log_warn("tls", "%s: the certificate is not valid yet", who);
}

struct tls_pair *tls_pair_ref(struct tls_pair *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void tls_pair_unref(struct tls_pair *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < p->n_names; i++)
		free(p->names[i]);
	free(p->names);
	SSL_CTX_free(p->ctx);
	free(p->staple.der);
	pthread_mutex_destroy(&p->staple.lock);
	free(p);
}

void tls_pair_staple(struct tls_pair *p, struct span der, time_t until)
{
	struct tls_staple *s = &p->staple;
	uint8_t *copy = malloc(der.n);

	if (!copy)
		return;
	memcpy(copy, der.p, der.n);
	pthread_mutex_lock(&s->lock);
	free(s->der);
	s->der = copy;
	s->n = der.n;
	s->until = until;
	pthread_mutex_unlock(&s->lock);
}

/* OpenSSL frees what it is given. */
static int on_status_wanted(SSL *ssl, void *arg)
{
	struct tls_staple *s = &((struct tls_pair *)arg)->staple;
	unsigned char *copy = NULL;
	long n = 0;

	pthread_mutex_lock(&s->lock);
	if (s->der && (s->until == 0 || s->until > time(NULL))) {
		copy = OPENSSL_memdup(s->der, s->n);
		n = (long)s->n;
	}
	pthread_mutex_unlock(&s->lock);
	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, n);
	return SSL_TLSEXT_ERR_OK;
}

struct tls_pair *tls_pair_bare(SSL_CTX *ctx)
{
	struct tls_pair *p = calloc(1, sizeof(*p));

	if (!p) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	pthread_mutex_init(&p->staple.lock, NULL);
	p->ctx = ctx;
	SSL_CTX_set_tlsext_status_cb(ctx, on_status_wanted);
	SSL_CTX_set_tlsext_status_arg(ctx, p);
	return p;
}

struct tls_pair *tls_pair_load(SSL_CTX *ctx, const struct conf_cert *c, char *why)
{
	struct tls_pair *p = tls_pair_bare(ctx);
	int err;

	if (!p) {
		complain(why, 0, label(c->cert_file, c), "out of memory");
		return NULL;
	}
	tls_stamps_take(&p->stamps, c);
	err = tls_cert_use(ctx, c, why);
	if (!err) {
		err = read_names(p, SSL_CTX_get0_certificate(ctx));
		if (err)
			complain(why, err, label(c->cert_file, c), "out of memory");
	}
	if (err) {
		tls_pair_unref(p);
		return NULL;
	}
	warn_dates(SSL_CTX_get0_certificate(ctx), c);
	return p;
}

struct tls_pairs *tls_pairs_new(size_t max)
{
	struct tls_pairs *s = calloc(1, sizeof(*s) + max * sizeof(struct tls_pair *));

	if (s)
		atomic_init(&s->refs, 1);
	return s;
}

struct tls_pairs *tls_pairs_ref(struct tls_pairs *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void tls_pairs_unref(struct tls_pairs *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->n; i++)
		tls_pair_unref(s->v[i]);
	free(s);
}

/* A name of a certificate covers @sni when it is the same, or "*" and the rest of it. */
static bool pair_covers(const struct tls_pair *p, const char *sni)
{
	const char *dot = strchr(sni, '.');

	for (size_t i = 0; i < p->n_names; i++) {
		const char *name = p->names[i];

		if (strcasecmp(name, sni) == 0)
			return true;
		if (dot && name[0] == '*' && strcasecmp(name + 1, dot) == 0)
			return true;
	}
	return false;
}

const struct tls_pair *tls_pairs_choose(const struct tls_pairs *s, const char *sni, bool strict)
{
	bool named = sni && *sni;

	if (s->n == 0)
		return NULL;
	if (!strict && (s->n == 1 || !named))
		return s->v[0];
	for (size_t i = 0; named && i < s->n; i++)
		if (pair_covers(s->v[i], sni))
			return s->v[i];
	return strict ? NULL : s->v[0];
}
