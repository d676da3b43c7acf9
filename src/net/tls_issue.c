#include "net/tls_issue.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "net/cert.h"
#include "net/tls_cert.h"

/* The key that signs, its certificate, and what is sent behind those that it signs. */
struct authority {
	struct cert own;
	STACK_OF(X509) *chain; /* NULL: nothing */
};

struct issued {
	struct list lru; /* the longest unused first */
	time_t until;
	struct cert cert;
	char name[];
};

struct tls_issuer {
	const struct conf_cert *conf;
	pthread_mutex_t lock; /* for all below but the stamps */
	struct authority ca;
	struct list issued;
	size_t n;
	struct tls_stamps stamps;
	bool failed; /* the files in the state of @stamps are no good, and that has been said */
};

static void authority_fini(struct authority *a)
{
	cert_fini(&a->own);
	sk_X509_pop_free(a->chain, X509_free);
	a->chain = NULL;
}

static int authority_read(struct authority *out, const struct conf_cert *c, char *why)
{
	struct authority a = {{NULL, NULL}, NULL};
	int err = tls_cert_read(&a.own.x, &a.chain, &a.own.key, c, why);

	if (!err && X509_check_ca(a.own.x) == 0)
		log_warn("tls", "%s is not the certificate of an authority: what it issues will "
				"not be believed", *c->cert_file ? c->cert_file : c->at.path);
	if (!err && c->build_chain) {
		if (!a.chain)
			a.chain = sk_X509_new_null();
		if (!a.chain || !sk_X509_unshift(a.chain, a.own.x)) {
			snprintf(why, TLS_WHY_MAX, "out of memory");
			err = -ERR_NOMEM;
		} else {
			X509_up_ref(a.own.x);
		}
	} else if (!err) {
		sk_X509_pop_free(a.chain, X509_free);
		a.chain = NULL;
	}
	if (err)
		authority_fini(&a);
	else
		*out = a;
	return err;
}

struct tls_issuer *tls_issuer_new(const struct conf_cert *c, char *why)
{
	struct tls_issuer *i = calloc(1, sizeof(*i));

	if (!i) {
		snprintf(why, TLS_WHY_MAX, "out of memory");
		return NULL;
	}
	i->conf = c;
	list_init(&i->issued);
	pthread_mutex_init(&i->lock, NULL);
	tls_stamps_take(&i->stamps, c);
	if (authority_read(&i->ca, c, why) == 0)
		return i;
	tls_issuer_free(i);
	return NULL;
}

static void forget(struct tls_issuer *i, struct issued *e)
{
	list_del(&e->lru);
	i->n--;
	cert_fini(&e->cert);
	free(e);
}

static void forget_all(struct tls_issuer *i)
{
	while (!list_empty(&i->issued))
		forget(i, list_first(&i->issued, struct issued, lru));
}

void tls_issuer_free(struct tls_issuer *i)
{
	if (!i)
		return;
	forget_all(i);
	authority_fini(&i->ca);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

/* ---- one handshake ---- */

static struct cert ref(const struct cert *c)
{
	X509_up_ref(c->x);
	EVP_PKEY_up_ref(c->key);
	return *c;
}

static struct issued *find(struct tls_issuer *i, const char *name)
{
	struct issued *e;

	list_each(e, &i->issued, lru)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

/* What was issued before and is still good; @ca gets a reference to the authority in any case. */
static bool recall(struct tls_issuer *i, const char *name, struct cert *out, struct authority *ca)
{
	struct issued *e;

	pthread_mutex_lock(&i->lock);
	ca->own = ref(&i->ca.own);
	ca->chain = i->ca.chain ? X509_chain_up_ref(i->ca.chain) : NULL;
	e = find(i, name);
	if (e && e->until < time(NULL) + TLS_ISSUED_SPARE_S) {
		forget(i, e);
		e = NULL;
	}
	if (e) {
		list_del(&e->lru);
		list_add_tail(&i->issued, &e->lru);
		*out = ref(&e->cert);
	}
	pthread_mutex_unlock(&i->lock);
	return e != NULL;
}

static int issue(const char *name, const struct authority *ca, struct cert *out)
{
	struct cert_spec spec = {
		.names = &name,
		.n_names = *name ? 1 : 0,
		.common_name = "",
		.organization = "",
		.valid_s = TLS_ISSUED_S,
		.issuer = &ca->own,
	};

	return cert_make(out, &spec);
}

/* Another thread may have done the same meanwhile, or the authority may have changed: nothing is
 * kept then. */
static void remember(struct tls_issuer *i, const char *name, const struct authority *ca,
		     const struct cert *c)
{
	size_t n = strlen(name) + 1;
	struct issued *e = calloc(1, sizeof(*e) + n);

	if (!e)
		return;
	memcpy(e->name, name, n);
	e->until = time(NULL) + TLS_ISSUED_S;
	pthread_mutex_lock(&i->lock);
	if (i->ca.own.x != ca->own.x || find(i, name)) {
		free(e);
	} else {
		if (i->n >= TLS_ISSUED_MAX)
			forget(i, list_first(&i->issued, struct issued, lru));
		e->cert = ref(c);
		list_add_tail(&i->issued, &e->lru);
		i->n++;
	}
	pthread_mutex_unlock(&i->lock);
}

/* Takes the place of whatever the context has. */
static bool put(SSL *ssl, const struct cert *c, STACK_OF(X509) *chain)
{
	SSL_certs_clear(ssl);
	return SSL_use_certificate(ssl, c->x) == 1 && SSL_use_PrivateKey(ssl, c->key) == 1 &&
	       (!chain || SSL_set1_chain(ssl, chain) == 1);
}

int tls_issuer_serve(struct tls_issuer *i, SSL *ssl, const char *sni, char *why)
{
	struct authority ca;
	struct cert c;
	int err = 0;

	if (!recall(i, sni, &c, &ca)) {
		err = issue(sni, &ca, &c);
		if (!err) {
			log_debug("tls", "issued a certificate for %s", *sni ? sni : "no name");
			remember(i, sni, &ca, &c);
		}
	}
	if (!err) {
		err = put(ssl, &c, ca.chain) ? 0 : -ERR_TLS;
		cert_fini(&c);
	}
	authority_fini(&ca);
	if (err)
		snprintf(why, TLS_WHY_MAX, "no certificate can be issued for %.200s", sni);
	ERR_clear_error();
	return err;
}

int tls_issuer_reload(struct tls_issuer *i)
{
	struct authority fresh, old;
	char why[TLS_WHY_MAX];
	struct tls_stamps now;

	tls_stamps_take(&now, i->conf);
	if (i->conf->one_time || tls_stamps_eq(&now, &i->stamps))
		return i->failed ? -ERR_TLS : 0;
	i->stamps = now;
	i->failed = authority_read(&fresh, i->conf, why) != 0;
	if (i->failed) {
		log_err("tls", "%s; the old authority stays in use", why);
		return -ERR_TLS;
	}
	pthread_mutex_lock(&i->lock);
	old = i->ca;
	i->ca = fresh;
	forget_all(i);
	pthread_mutex_unlock(&i->lock);
	authority_fini(&old);
	log_info("tls", "%s: renewed authority taken over", i->conf->cert_file);
	return 1;
}
