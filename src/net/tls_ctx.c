#include "net/tls_ctx.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/mldsa65.h"
#include "net/ocsp_staple.h"
#include "net/spider_web.h"
#include "net/tls_conn.h"
#include "net/tls_hello.h"
#include "net/tls_issue.h"
#include "net/tls_keylog.h"
#include "net/tls_session.h"

enum { LIST_MAX = 1024 };

/* What Go offers below 1.3: forward secrecy only, AEADs first. */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";
static const char groups_default[] = "X25519:P-256:P-384:P-521";

/* What reloading remembers about one served certificate. */
struct tls_renewal {
	const struct conf_cert *conf;
	bool failed; /* the files in this state were no good, and that has been said */
	struct tls_stamps stamps;
};

_Static_assert((int)TLS_WHY_MAX == (int)TLS_CTX_WHY_MAX, "one size for causes");

bool tls_ctx_is_server(const struct tls_ctx *x)
{
	return x->server;
}

static int complain(char *why, const char *what, const char *value)
{
	snprintf(why, TLS_CTX_WHY_MAX, "%s %s", what, value);
	return -ERR_UNSUPPORTED;
}

static int version_number(enum conf_tls_version v, int otherwise)
{
	switch (v) {
	case CONF_TLS_1_0:
		return TLS1_VERSION;
	case CONF_TLS_1_1:
		return TLS1_1_VERSION;
	case CONF_TLS_1_2:
		return TLS1_2_VERSION;
	case CONF_TLS_1_3:
		return TLS1_3_VERSION;
	case CONF_TLS_DEFAULT:
		break;
	}
	return otherwise;
}

static int set_versions(SSL_CTX *s, const struct conf_tls *c, char *why)
{
	int min = version_number(c->min_version, TLS1_2_VERSION);
	int max = version_number(c->max_version, TLS1_3_VERSION);

	if (c->min_version == CONF_TLS_DEFAULT && max < min)
		min = max;
	if (min > max)
		return complain(why, "minVersion is above maxVersion", "");
	if (min < TLS1_2_VERSION) /* these need SHA-1, which level 1 and above refuse */
		SSL_CTX_set_security_level(s, 0);
	SSL_CTX_set_min_proto_version(s, min);
	SSL_CTX_set_max_proto_version(s, max);
	return 0;
}

/* AES-GCM without help of the processor is slower than ChaCha20 and leaks by timing. */
static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return (getauxval(AT_HWCAP) & 1 << 3) != 0;
#elif defined(__arm__)
	return (getauxval(AT_HWCAP2) & 1) != 0;
#else
	return false;
#endif
}

/* Appends ":@item" to a list that is passed to OpenSSL as text. */
static bool list_add(char *list, const char *item)
{
	size_t n = strlen(list), k = strlen(item);

	if (n + k + 2 > LIST_MAX)
		return false;
	if (n)
		list[n++] = ':';
	memcpy(list + n, item, k + 1);
	return true;
}

static int set_ciphers(SSL_CTX *s, const struct conf_tls *c, char *why)
{
	char list[LIST_MAX] = "";

	SSL_CTX_set_ciphersuites(s, cpu_has_aes()
					    ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					      "TLS_CHACHA20_POLY1305_SHA256"
					    : "TLS_CHACHA20_POLY1305_SHA256:"
					      "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
	SSL_CTX_set_options(s, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	for (size_t i = 0; i < c->cipher_suites.n; i++) {
		const char *name = OPENSSL_cipher_name(c->cipher_suites.v[i]);

		if (strcmp(name, "(NONE)") == 0)
			log_warn("tls", "cipherSuites: %s is not known and left out",
				 c->cipher_suites.v[i]);
		else if (!list_add(list, name))
			return complain(why, "cipherSuites", "is too long");
	}
	if (c->cipher_suites.n > 0 && !*list)
		return complain(why, "cipherSuites", "names none that is known");
	if (SSL_CTX_set_cipher_list(s, *list ? list : ciphers_12) != 1)
		return complain(why, "cipherSuites: no usable cipher in", list);
	return 0;
}

static const char *group_name(const char *curve)
{
	static const char *const names[][2] = {
		{"x25519", "X25519"},	{"curvep256", "P-256"}, {"curvep384", "P-384"},
		{"curvep521", "P-521"}, {"x448", "X448"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], curve) == 0)
			return names[i][1];
	return NULL;
}

static int set_groups(SSL_CTX *s, const struct conf_tls *c, char *why)
{
	char list[LIST_MAX] = "";

	for (size_t i = 0; i < c->curves.n; i++) {
		const char *name = group_name(c->curves.v[i]);

		if (!name)
			log_warn("tls", "curvePreferences: %s is not supported and left out",
				 c->curves.v[i]);
		else if (!list_add(list, name))
			return complain(why, "curvePreferences", "is too long");
	}
	if (c->curves.n > 0 && !*list)
		return complain(why, "curvePreferences", "names none that is supported");
	if (!*list)
		memcpy(list, groups_default, sizeof(groups_default));
	if (SSL_CTX_set1_groups_list(s, list) != 1)
		return complain(why, "curvePreferences: cannot be used:", list);
	return 0;
}

static int set_resumption(SSL_CTX *s, const struct tls_ctx *x)
{
	static const unsigned char id[] = "garenne";

	if (!x->conf->session_resumption) {
		SSL_CTX_set_options(s, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_num_tickets(s, 0); /* NO_TICKET alone does not stop those of 1.3 */
		return 0;
	}
	if (x->server) {
		SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF); /* tickets only */
		return SSL_CTX_set_session_id_context(s, id, sizeof(id) - 1) == 1 ? 0 : -ERR_NOMEM;
	}
	SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(s, tls_conn_on_session);
	return 0;
}

/* What client and server have in common. Gives, or NULL. */
static SSL_CTX *build_common(const struct tls_ctx *x, char *why)
{
	SSL_CTX *s = SSL_CTX_new(x->server ? TLS_server_method() : TLS_client_method());

	if (!s) {
		complain(why, "out of memory", "");
		return NULL;
	}
	SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_keylog_callback(s, tls_conn_on_keylog);
	if (set_versions(s, x->conf, why) != 0 || set_ciphers(s, x->conf, why) != 0 ||
	    set_groups(s, x->conf, why) != 0 || set_resumption(s, x) != 0) {
		SSL_CTX_free(s);
		ERR_clear_error();
		return NULL;
	}
	return s;
}

/* @c NULL: for an issuer. */
static struct tls_pair *build_pair(struct tls_ctx *x, const struct conf_cert *c, char *why)
{
	SSL_CTX *s = build_common(x, why);

	if (!s)
		return NULL;
	SSL_CTX_set_tlsext_servername_callback(s, tls_conn_on_servername);
	SSL_CTX_set_alpn_select_cb(s, tls_conn_on_alpn, x);
	return c ? tls_pair_load(s, c, why) : tls_pair_bare(s);
}

/* The first one that may sign does. */
static int build_issuer(struct tls_ctx *x, char *why)
{
	for (size_t i = 0; i < x->conf->n_certs && !x->issuer; i++) {
		if (x->conf->certs[i].usage != CONF_CERT_ISSUE)
			continue;
		x->issuer = tls_issuer_new(&x->conf->certs[i], why);
		if (!x->issuer)
			return -ERR_TLS;
	}
	return 0;
}

static int add_pair(struct tls_ctx *x, const struct conf_cert *c, char *why)
{
	struct tls_pair *p = build_pair(x, c, why);

	if (!p)
		return -ERR_TLS;
	x->renewals[x->pairs->n].conf = c;
	x->pairs->v[x->pairs->n++] = p;
	return 0;
}

static int build_server(struct tls_ctx *x, char *why)
{
	int err = build_issuer(x, why);
	size_t n = 0;

	for (size_t i = 0; i < x->conf->n_certs; i++)
		n += x->conf->certs[i].usage == CONF_CERT_SERVE;
	if (!err && n == 0 && !x->issuer)
		return complain(why, "certificates:", "a server needs at least one");
	x->pairs = tls_pairs_new(n + 1);
	x->renewals = calloc(n + 1, sizeof(*x->renewals));
	if (!x->pairs || !x->renewals)
		return complain(why, "out of memory", "");
	for (size_t i = 0; i < x->conf->n_certs && !err; i++)
		if (x->conf->certs[i].usage == CONF_CERT_SERVE)
			err = add_pair(x, &x->conf->certs[i], why);
	if (!err && n == 0)
		err = add_pair(x, NULL, why);
	return err;
}

static int add_roots(SSL_CTX *s, const struct conf_tls *c, char *why)
{
	if (!c->disable_system_root && SSL_CTX_set_default_verify_paths(s) != 1)
		log_warn("tls", "the system's root certificates cannot be used");
	for (size_t i = 0; i < c->n_certs; i++) {
		int err = c->certs[i].usage == CONF_CERT_ISSUE
				  ? 0
				  : tls_cert_trust(SSL_CTX_get_cert_store(s), &c->certs[i], why);

		if (err)
			return err;
	}
	ERR_clear_error();
	return 0;
}

/* With a browser's hello the handshake is ours (tls13_client.h), and most settings mean nothing. */
static int set_hello(struct tls_ctx *x, char *why)
{
	const struct conf_tls *c = x->conf;
	struct tls_hello_choice choice = tls_hello_choose(c->fingerprint);

	if (!choice.profile)
		return 0;
	if (c->max_version && c->max_version < CONF_TLS_1_3) {
		log_warn("tls", "fingerprint \"%s\" has no effect with maxVersion below 1.3",
			 c->fingerprint);
		return 0;
	}
	if (c->cipher_suites.n || c->curves.n || c->session_resumption)
		log_warn("tls",
			 "cipherSuites, curvePreferences and enableSessionResumption have no "
			 "effect with a fingerprint");
	x->fp = tls_hello_load(choice.profile, why);
	x->profile = choice.profile;
	x->hello_alpn = !choice.no_alpn;
	return x->fp ? 0 : -ERR_TLS;
}

static int build_client(struct tls_ctx *x, char *why)
{
	const struct conf_tls *c = x->conf;

	x->client = build_common(x, why);
	if (!x->client)
		return -ERR_TLS;
	SSL_CTX_set_verify(x->client, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(x->client, tls_conn_on_verify, NULL);
	if (x->alpn_len && SSL_CTX_set_alpn_protos(x->client, x->alpn, (unsigned)x->alpn_len) != 0)
		return complain(why, "alpn", "cannot be used");
	if (c->session_resumption) {
		x->sessions = tls_sessions_new();
		if (!x->sessions)
			return complain(why, "out of memory", "");
	}
	if (c->allow_insecure && c->n_pins == 0)
		log_warn("tls", "allowInsecure is set: ANYBODY ON THE WAY CAN READ AND CHANGE THE "
				"TRAFFIC; use pinnedPeerCertSha256 instead");
	if (set_hello(x, why) != 0)
		return -ERR_TLS;
	return add_roots(x->client, c, why);
}

static int encode_alpn(struct tls_ctx *x, char *why)
{
	const struct conf_strs *names = &x->conf->alpn;
	size_t n = 0;
	struct wr w;

	for (size_t i = 0; i < names->n; i++) {
		size_t len = strlen(names->v[i]);

		if (len == 0 || len > 255)
			return complain(why, "alpn: names have 1 to 255 bytes, not so",
					names->v[i]);
		n += 1 + len;
	}
	if (n > UINT16_MAX)
		return complain(why, "alpn", "is too long");
	x->alpn = malloc(n ? n : 1);
	if (!x->alpn)
		return complain(why, "out of memory", "");
	x->alpn_len = n;
	w = wr_of(x->alpn, n);
	for (size_t i = 0; i < names->n; i++) {
		wr_u8(&w, (unsigned)strlen(names->v[i]));
		wr_bytes(&w, names->v[i], strlen(names->v[i]));
	}
	return 0;
}

static struct tls_ctx *ctx_alloc(char *why)
{
	struct tls_ctx *x = calloc(1, sizeof(*x));

	*why = 0;
	if (!x)
		complain(why, "out of memory", "");
	return x;
}

/* Takes @x, which may be NULL. */
static struct tls_ctx *ctx_build(struct tls_ctx *x, const struct conf_tls *c, bool server,
				 char *why)
{
	int err = 0;

	if (!x)
		return NULL;
	atomic_init(&x->refs, 1);
	pthread_mutex_init(&x->lock, NULL);
	x->conf = c;
	x->server = server;
	x->keylog_fd = -1;
	x->bio = tls_bio_method();
	if (!x->bio)
		err = complain(why, "out of memory", "");
	if (!err)
		err = encode_alpn(x, why);
	if (!err)
		err = tls_keylog_open(&x->keylog_fd, c->master_key_log, why);
	if (!err)
		err = server ? build_server(x, why) : build_client(x, why);
	if (err) {
		tls_ctx_unref(x);
		return NULL;
	}
	return x;
}

struct tls_ctx *tls_ctx_new_client(const struct conf_tls *c, char *why)
{
	return ctx_build(ctx_alloc(why), c, false, why);
}

struct tls_ctx *tls_ctx_new_reality(const struct conf_reality_client *c, char *why)
{
	static const char *const both[] = {"h2", "http/1.1"};
	struct tls_ctx *x = ctx_alloc(why);

	if (!x)
		return NULL;
	if (c->mldsa_key) {
		x->mldsa = malloc(sizeof(*x->mldsa));
		if (x->mldsa)
			mldsa65_pub_set(x->mldsa, span_of(c->mldsa_key, CONF_REALITY_MLDSA_LEN));
	}
	x->web = spider_web_new();
	if (!x->web || (c->mldsa_key && !x->mldsa)) {
		complain(why, "out of memory", "");
		spider_web_unref(x->web);
		free(x->mldsa);
		free(x);
		return NULL;
	}
	x->reality = c;
	x->own = (struct conf_tls){.at = c->at,
				   .server_name = c->server_name,
				   .alpn = {both, 2},
				   .fingerprint = c->fingerprint,
				   .master_key_log = c->master_key_log};
	return ctx_build(x, &x->own, false, why);
}

struct tls_ctx *tls_ctx_new_server(const struct conf_tls *c, char *why)
{
	return ctx_build(ctx_alloc(why), c, true, why);
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *x)
{
	atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
	return x;
}

void tls_ctx_unref(struct tls_ctx *x)
{
	if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(x->client);
	tls_pairs_unref(x->pairs);
	tls_issuer_free(x->issuer);
	tls_sessions_free(x->sessions);
	spider_web_unref(x->web);
	BIO_meth_free(x->bio);
	if (x->keylog_fd != -1)
		close(x->keylog_fd);
	pthread_mutex_destroy(&x->lock);
	free(x->renewals);
	free(x->fp);
	free(x->mldsa);
	free(x->alpn);
	free(x);
}

void tls_ctx_free(struct tls_ctx *x)
{
	if (!x)
		return;
	tls_ctx_unwatch(x);
	tls_ctx_unref(x);
}

/* The pair that replaces @old, or another reference to it. */
static struct tls_pair *renew(struct tls_ctx *x, struct tls_renewal *r, struct tls_pair *old,
			      int *result)
{
	struct tls_stamps now;
	struct tls_pair *p;
	char why[TLS_WHY_MAX];

	if (!r->conf)
		return tls_pair_ref(old);
	tls_stamps_take(&now, r->conf);
	if (r->conf->one_time || tls_stamps_eq(&now, &old->stamps))
		return tls_pair_ref(old);
	p = build_pair(x, r->conf, why);
	if (p) {
		r->failed = false;
		*result = *result < 0 ? *result : 1;
		log_info("tls", "%s: renewed certificate taken over", r->conf->cert_file);
		return p;
	}
	if (!r->failed || !tls_stamps_eq(&now, &r->stamps))
		log_err("tls", "%s; the old certificate stays in use", why);
	r->failed = true;
	r->stamps = now;
	*result = -ERR_TLS;
	return tls_pair_ref(old);
}

int tls_ctx_reload(struct tls_ctx *x)
{
	struct tls_pairs *old = x->pairs, *now;
	int result = 0;

	if (!old) /* only this function changes it, so reading needs no lock */
		return 0;
	now = tls_pairs_new(old->n);
	if (!now)
		return -ERR_NOMEM;
	for (; now->n < old->n; now->n++)
		now->v[now->n] = renew(x, &x->renewals[now->n], old->v[now->n], &result);
	pthread_mutex_lock(&x->lock);
	x->pairs = now;
	pthread_mutex_unlock(&x->lock);
	tls_pairs_unref(old);
	if (x->issuer) {
		int issuer = tls_issuer_reload(x->issuer);

		result = issuer < 0 || (issuer && !result) ? issuer : result;
	}
	return result;
}

/* Tells the stapler which certificates there are now. */
static void staple(struct tls_ctx *x)
{
	for (size_t i = 0; x->stapler && i < x->pairs->n; i++)
		if (x->renewals[i].conf && x->renewals[i].conf->ocsp_s)
			ocsp_stapler_set(x->stapler, i, x->pairs->v[i], x->renewals[i].conf->ocsp_s);
}

static void on_reload(struct timer *t)
{
	struct tls_ctx *x = container_of(t, struct tls_ctx, reload);

	if (tls_ctx_reload(x) != 0)
		staple(x);
	timer_start(t, TLS_RELOAD_MS);
}

static void staple_start(struct tls_ctx *x, struct loop *l, struct resolver *r,
			 const struct conf_sockopt *opts)
{
	struct ocsp_terms terms = {l, r, opts};
	bool wanted = false;

	for (size_t i = 0; x->pairs && i < x->pairs->n; i++)
		wanted |= x->renewals[i].conf && x->renewals[i].conf->ocsp_s;
	if (!wanted || x->stapler)
		return;
	x->stapler = ocsp_stapler_new(&terms, x->pairs->n);
	staple(x);
}

void tls_ctx_watch(struct tls_ctx *x, struct loop *l, struct resolver *r,
		   const struct conf_sockopt *opts)
{
	bool files = false;

	staple_start(x, l, r, opts);

	for (size_t i = 0; x->pairs && i < x->conf->n_certs; i++) {
		const struct conf_cert *c = &x->conf->certs[i];

		files |= c->usage != CONF_CERT_VERIFY && !c->one_time && *c->cert_file;
	}
	if (!files || x->watched)
		return;
	x->watched = true;
	timer_init(&x->reload, l, on_reload);
	timer_start(&x->reload, TLS_RELOAD_MS);
}

void tls_ctx_unwatch(struct tls_ctx *x)
{
	if (x->watched)
		timer_stop(&x->reload);
	ocsp_stapler_free(x->stapler);
	x->stapler = NULL;
	x->watched = false;
}
