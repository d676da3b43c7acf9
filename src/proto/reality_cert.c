/* The certificate of REALITY: written from a template, read as any X.509 certificate. */
#include "base/err.h"
#include "crypto/secret.h"
#include "crypto/sha.h"
#include "proto/reality.h"

/* The tags of DER (X.690) that a certificate (RFC 5280, 4.1) has on the way to what we need. */
enum {
	TAG_INTEGER = 0x02,
	TAG_BITS = 0x03,
	TAG_OCTETS = 0x04,
	TAG_OID = 0x06,
	TAG_SEQUENCE = 0x30,
	TAG_VERSION = 0xa0,
	TAG_EXTENSIONS = 0xa3,
};

static const uint8_t oid_ed25519[] = {0x2b, 0x65, 0x70};

/* One value of the tag @tag off the front of @r: its contents. Lengths of up to three bytes. */
static struct span take(struct rd *r, uint8_t tag)
{
	size_t n;

	if (rd_u8(r) != tag)
		r->bad = true;
	n = rd_u8(r);
	if (n >= 0x80) {
		size_t bytes = n & 0x7f;

		if (bytes == 0 || bytes > 3)
			r->bad = true;
		for (n = 0; bytes > 0 && !r->bad; bytes--)
			n = n << 8 | rd_u8(r);
	}
	return rd_take(r, n);
}

static bool next_is(const struct rd *r, uint8_t tag)
{
	return !r->bad && r->n > 0 && r->p[0] == tag;
}

/* A bit string of whole bytes. */
static struct span take_bits(struct rd *r)
{
	struct span s = take(r, TAG_BITS);

	if (s.n == 0 || s.p[0] != 0) {
		r->bad = true;
		return span_of(NULL, 0);
	}
	return span_of(s.p + 1, s.n - 1);
}

static struct span take_ed25519(struct rd *r)
{
	struct rd spki = rd_of(take(r, TAG_SEQUENCE));
	struct rd alg = rd_of(take(&spki, TAG_SEQUENCE));
	struct span oid = take(&alg, TAG_OID), key = take_bits(&spki);

	r->bad |= spki.bad || alg.bad;
	if (!span_eq(oid, span_of(oid_ed25519, sizeof(oid_ed25519))) ||
	    key.n != REALITY_CERT_KEY_LEN)
		return span_of(NULL, 0);
	return key;
}

/* What stands between the key and the extensions (unique ids) is skipped. */
static struct span take_extension(struct rd *tbs)
{
	struct rd wrap, list, ext;
	struct span value;

	while (!tbs->bad && tbs->n > 0 && !next_is(tbs, TAG_EXTENSIONS))
		take(tbs, tbs->p[0]);
	if (tbs->bad || tbs->n == 0)
		return span_of(NULL, 0);
	wrap = rd_of(take(tbs, TAG_EXTENSIONS));
	list = rd_of(take(&wrap, TAG_SEQUENCE));
	if (!list.bad && list.n == 0)
		return span_of(NULL, 0);
	ext = rd_of(take(&list, TAG_SEQUENCE));
	take(&ext, TAG_OID);
	if (!next_is(&ext, TAG_OCTETS) && ext.n > 0)
		take(&ext, ext.p[0]); /* critical */
	value = take(&ext, TAG_OCTETS);
	tbs->bad |= wrap.bad || list.bad || ext.bad;
	return value;
}

int reality_cert_decode(struct reality_cert *out, struct span der)
{
	struct rd all = rd_of(der), cert = rd_of(take(&all, TAG_SEQUENCE));
	struct rd tbs = rd_of(take(&cert, TAG_SEQUENCE));
	struct reality_cert c;

	if (next_is(&tbs, TAG_VERSION))
		take(&tbs, TAG_VERSION);
	take(&tbs, TAG_INTEGER);
	for (int i = 0; i < 4; i++) /* algorithm, issuer, validity, subject */
		take(&tbs, TAG_SEQUENCE);
	c.key = take_ed25519(&tbs);
	c.extension = take_extension(&tbs);
	take(&cert, TAG_SEQUENCE);
	c.signature = take_bits(&cert);
	if (all.bad || cert.bad || tbs.bad || all.n || cert.n || tbs.n)
		return -ERR_MALFORMED;
	*out = c;
	return 0;
}

static int key_mac(uint8_t out[REALITY_MAC_LEN], const uint8_t *auth_key, struct span key)
{
	return sha_hmac(SHA_ALG_512, out, span_of(auth_key, REALITY_KEY_LEN), &key, 1);
}

bool reality_cert_proves(const struct reality_cert *c, const uint8_t auth_key[REALITY_KEY_LEN])
{
	uint8_t mac[REALITY_MAC_LEN];
	bool same;

	if (c->key.n != REALITY_CERT_KEY_LEN || c->signature.n != REALITY_MAC_LEN ||
	    key_mac(mac, auth_key, c->key) != 0)
		return false;
	same = secret_eq(mac, c->signature.p, sizeof(mac));
	secret_wipe(mac, sizeof(mac));
	return same;
}

int reality_cert_digest(uint8_t out[REALITY_MAC_LEN], const uint8_t auth_key[REALITY_KEY_LEN],
			const uint8_t key[REALITY_CERT_KEY_LEN], struct span client_hello,
			struct span server_hello)
{
	const struct span parts[] = {span_of(key, REALITY_CERT_KEY_LEN), client_hello,
				     server_hello};

	return sha_hmac(SHA_ALG_512, out, span_of(auth_key, REALITY_KEY_LEN), parts, 3);
}

/* ---- the template: everything that Go's x509 writes for an empty one ---- */

/* Certificate, TBSCertificate (their lengths follow from what is inside), version 3. */
static const uint8_t head_short[] = {0x30, 0x81, 0xaf, 0x30, 0x63};
static const uint8_t head_long[] = {0x30, 0x82, 0x0d, 0xb1, 0x30, 0x82, 0x0d, 0x63};
/* From the version to the public key: serial 0, Ed25519, no names, the year 1. */
static const uint8_t middle[] =
	"\xa0\x03\x02\x01\x02\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x30\x00"
	"\x30\x22\x18\x0f" "00010101000000Z" "\x18\x0f" "00010101000000Z"
	"\x30\x00\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/* [3], the list, the one extension with OID 0.0, and the header of its value. */
static const uint8_t extension[] = {0xa3, 0x82, 0x0c, 0xfc, 0x30, 0x82, 0x0c, 0xf8, 0x30, 0x82,
				    0x0c, 0xf4, 0x06, 0x01, 0x00, 0x04, 0x82, 0x0c, 0xed};
static const uint8_t tail[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00};

int reality_cert_encode(struct wr *out, const uint8_t key[REALITY_CERT_KEY_LEN],
			const uint8_t auth_key[REALITY_KEY_LEN], const uint8_t *mldsa)
{
	uint8_t mac[REALITY_MAC_LEN];
	int err = key_mac(mac, auth_key, span_of(key, REALITY_CERT_KEY_LEN));

	if (err)
		return err;
	if (mldsa)
		wr_bytes(out, head_long, sizeof(head_long));
	else
		wr_bytes(out, head_short, sizeof(head_short));
	wr_bytes(out, middle, sizeof(middle) - 1);
	wr_bytes(out, key, REALITY_CERT_KEY_LEN);
	if (mldsa) {
		wr_bytes(out, extension, sizeof(extension));
		wr_bytes(out, mldsa, REALITY_MLDSA_LEN);
	}
	wr_bytes(out, tail, sizeof(tail));
	wr_bytes(out, mac, sizeof(mac));
	return out->bad ? -ERR_LIMIT : 0;
}
