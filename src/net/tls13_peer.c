#include "net/tls13_peer.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "net/tls_inflate.h"
#include "proto/tlshello.h"

enum { EXT_DELEGATED_CREDENTIAL = 34 };

static struct span take_u24(struct rd *r)
{
	return rd_take(r, rd_u24(r));
}

int tls13_chain_decode(struct tls13_chain *out, struct span body)
{
	struct tls13_chain c = {.n = 0};
	struct rd r = rd_of(body), list;
	struct span context = rd_take(&r, rd_u8(&r)), none;

	list = rd_of(take_u24(&r));
	if (r.bad || r.n || context.n || list.n == 0)
		return -ERR_MALFORMED;
	while (list.n > 0) {
		struct span der = take_u24(&list), extensions = rd_take(&list, rd_u16(&list));

		if (list.bad || der.n == 0)
			return -ERR_MALFORMED;
		if (c.n == TLS13_CHAIN_MAX)
			return -ERR_LIMIT;
		if (tlshello_extension(extensions, EXT_DELEGATED_CREDENTIAL, &none))
			return -ERR_UNSUPPORTED;
		c.der[c.n++] = der;
	}
	*out = c;
	return 0;
}

int tls13_chain_inflate(uint8_t *out, size_t *n, struct span body, uint16_t *algorithm)
{
	struct rd r = rd_of(body);
	struct span packed;

	*algorithm = rd_u16(&r);
	*n = rd_u24(&r);
	packed = take_u24(&r);
	if (r.bad || r.n || packed.n == 0 || *n == 0)
		return -ERR_MALFORMED;
	if (*n > TLS13_CERTIFICATE_MAX)
		return -ERR_LIMIT;
	return tls_inflate(*algorithm, out, *n, packed);
}

static X509 *parse(struct span der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	if (x && p != der.p + der.n) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

STACK_OF(X509) * tls13_chain_parse(const struct tls13_chain *c)
{
	STACK_OF(X509) *chain = sk_X509_new_reserve(NULL, (int)c->n);

	for (size_t i = 0; chain && i < c->n; i++) {
		X509 *x = parse(c->der[i]);

		if (!x) {
			sk_X509_pop_free(chain, X509_free);
			return NULL;
		}
		sk_X509_push(chain, x); /* there is room */
	}
	return chain;
}

int tls13_verify_decode(uint16_t *scheme, struct span *signature, struct span body)
{
	struct rd r = rd_of(body);

	*scheme = rd_u16(&r);
	*signature = rd_take(&r, rd_u16(&r));
	return r.bad || r.n ? -ERR_MALFORMED : 0;
}

/* Which key and hash a scheme takes. */
static const struct scheme {
	uint16_t id;
	const char *hash; /* NULL: the algorithm has its own */
	int kind;
	int bits; /* of the curve */
} schemes[] = {
	{TLS_ECDSA_P256, "SHA256", EVP_PKEY_EC, 256}, {TLS_ECDSA_P384, "SHA384", EVP_PKEY_EC, 384},
	{TLS_ECDSA_P521, "SHA512", EVP_PKEY_EC, 521}, {TLS_RSA_PSS_256, "SHA256", EVP_PKEY_RSA, 0},
	{TLS_RSA_PSS_384, "SHA384", EVP_PKEY_RSA, 0}, {TLS_RSA_PSS_512, "SHA512", EVP_PKEY_RSA, 0},
	{TLS_ED25519, NULL, EVP_PKEY_ED25519, 0},
};

static const struct scheme *find(EVP_PKEY *key, uint16_t id)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		const struct scheme *s = &schemes[i];

		if (s->id == id && EVP_PKEY_get_base_id(key) == s->kind &&
		    (s->bits == 0 || EVP_PKEY_get_bits(key) == s->bits))
			return s;
	}
	return NULL;
}

/* Padding and salt of RSASSA-PSS as TLS has them. */
static bool set_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool tls13_signature_holds(EVP_PKEY *key, uint16_t scheme, struct span content,
			   struct span signature)
{
	const struct scheme *s = find(key, scheme);
	EVP_MD_CTX *md = s ? EVP_MD_CTX_new() : NULL;
	EVP_PKEY_CTX *ctx = NULL;
	bool ok = md && EVP_DigestVerifyInit_ex(md, &ctx, s->hash, NULL, NULL, key, NULL) == 1 &&
		  (s->kind != EVP_PKEY_RSA || set_pss(ctx)) &&
		  EVP_DigestVerify(md, signature.p, signature.n, content.p, content.n) == 1;

	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}
