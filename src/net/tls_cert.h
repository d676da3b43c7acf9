/*
 * Certificates of a server: PEM in, OpenSSL objects and the names they cover
 * out, and the question "has the file been renewed?". Choosing between several
 * is here too, the way Xray does it.
 */
#ifndef GARENNE_NET_TLS_CERT_H
#define GARENNE_NET_TLS_CERT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/span.h"
#include "conf/stream.h"

enum { TLS_WHY_MAX = 256 };

/* What identifies one state of a file; all zeros for one that is not there. */
struct tls_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct tls_stamps {
	struct tls_stamp cert, key;
};

/* What the authority says about a certificate, in DER, to be shown beside it (RFC 6066, section 8). */
struct tls_staple {
	pthread_mutex_t lock;
	uint8_t *der; /* NULL: there is none */
	size_t n;
	time_t until; /* 0: no end */
};

/* One certificate that is served: a context of its own and its names. Never changed, but for what is
 * shown beside it. */
struct tls_pair {
	atomic_uint refs;
	SSL_CTX *ctx;
	char **names; /* lower case: common name, DNS names */
	size_t n_names;
	struct tls_stamps stamps; /* as they were before reading */
	struct tls_staple staple;
};

/* The pairs in use, shared by all threads and never changed; a renewed file makes a new set. */
struct tls_pairs {
	atomic_uint refs;
	size_t n;
	struct tls_pair *v[];
};

/** Puts certificate, chain and key of @c into @ctx. 0, or -ERR_* and the cause, with the file's
 * name, in @why[TLS_WHY_MAX]. */
int tls_cert_use(SSL_CTX *ctx, const struct conf_cert *c, char *why);
/** Reads the first certificate, those behind it (NULL when there are none) and the key of @c. Gives
 * all three. 0 or as above, then nothing is given. */
int tls_cert_read(X509 **leaf, STACK_OF(X509) **chain, EVP_PKEY **key, const struct conf_cert *c,
		  char *why);
/** Adds every certificate of @c to @store as a root. 0 or as above. */
int tls_cert_trust(X509_STORE *store, const struct conf_cert *c, char *why);

/** The state of the files of @c now. */
void tls_stamps_take(struct tls_stamps *out, const struct conf_cert *c);
bool tls_stamps_eq(const struct tls_stamps *a, const struct tls_stamps *b);

/** Makes a pair with one reference: takes @ctx, also on failure. Gives, or NULL and the cause in
 * @why[TLS_WHY_MAX]. */
struct tls_pair *tls_pair_load(SSL_CTX *ctx, const struct conf_cert *c, char *why);
/** One without a certificate, for handshakes that get theirs in another way. Takes @ctx. */
struct tls_pair *tls_pair_bare(SSL_CTX *ctx);
struct tls_pair *tls_pair_ref(struct tls_pair *p);
/** Takes NULL too. */
void tls_pair_unref(struct tls_pair *p);

/** From now on @der is shown to clients that ask for it, until the time @until (0: for ever). Any
 * thread. Without memory the old one stays. */
void tls_pair_staple(struct tls_pair *p, struct span der, time_t until);

/** An empty set for up to @max pairs with one reference. Gives, or NULL. */
struct tls_pairs *tls_pairs_new(size_t max);
struct tls_pairs *tls_pairs_ref(struct tls_pairs *s);
/** Takes NULL too. */
void tls_pairs_unref(struct tls_pairs *s);
/**
 * The pair for @sni (any case; NULL or "" for none). Without @strict: the first
 * when there is only one, no SNI or no match. With it: NULL when nothing matches.
 */
const struct tls_pair *tls_pairs_choose(const struct tls_pairs *s, const char *sni, bool strict);

#endif
