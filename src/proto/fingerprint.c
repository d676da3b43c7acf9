/* The encoder; the text is read in fingerprint_text.c. */
#include "proto/fingerprint.h"

#include "base/err.h"
#include "crypto/kdf.h"
#include "proto/tlshello.h"

enum {
	GREASE_SUITE = 0,
	GREASE_GROUP,
	GREASE_FIRST,
	GREASE_SECOND,
	GREASE_VERSION,
	GREASE_MAX_,
	ECH_KEY_LEN = 32,
	ECH_PAYLOAD_MAX = 512,
	/* BoringSSL pads for the sake of servers that hang on hellos of these lengths */
	PAD_FROM = 256,
	PAD_TO = 512,
};

/* All that is random in a hello, drawn at once. */
struct draw {
	uint8_t grease[GREASE_MAX_];
	uint8_t order[FINGERPRINT_EXTENSIONS_MAX];
	uint8_t ech_aead, ech_length, ech_id;
	uint8_t ech_key[ECH_KEY_LEN];
	uint8_t ech_payload[ECH_PAYLOAD_MAX];
};

static int draw(struct draw *d, const uint8_t seed[FINGERPRINT_SEED_LEN])
{
	return kdf_expand(SHA_ALG_256, (uint8_t *)d, sizeof(*d),
			  span_of(seed, FINGERPRINT_SEED_LEN), span_str("client hello"));
}

/* A reserved value; the second extension's must differ from the first one's. */
static uint16_t grease(const struct draw *d, int which)
{
	unsigned v = d->grease[which] & 0xf0;

	if (which == GREASE_SECOND && v == (d->grease[GREASE_FIRST] & 0xf0u))
		v ^= 0x10;
	v |= 0x0a;
	return (uint16_t)(v << 8 | v);
}

static uint16_t listed(uint16_t v, const struct draw *d, int which)
{
	return v == FINGERPRINT_GREASE ? grease(d, which) : v;
}

static bool has_h2(struct span alpn)
{
	struct rd r = rd_of(alpn);

	while (r.n > 0 && !r.bad)
		if (span_eq(rd_take(&r, rd_u8(&r)), span_str("h2")))
			return true;
	return false;
}

/* Writes the length of what was written since @at, which holds two bytes for it. */
static void close16(struct wr *w, size_t at)
{
	size_t n = w->n - at - 2;

	if (w->bad)
		return;
	if (n > 0xffff) {
		w->bad = true;
		return;
	}
	w->p[at] = (uint8_t)(n >> 8);
	w->p[at + 1] = (uint8_t)n;
}

static size_t open16(struct wr *w)
{
	size_t at = w->n;

	wr_u16(w, 0);
	return at;
}

static void put_sni(struct wr *w, struct span name)
{
	size_t list = open16(w), text;

	wr_u8(w, 0);
	text = open16(w);
	wr_bytes(w, name.p, name.n);
	close16(w, text);
	close16(w, list);
}

static void put_shares(struct wr *w, const struct fingerprint_extension *e,
		       const struct fingerprint_hello *h, const struct draw *d)
{
	size_t list = open16(w);

	for (size_t i = 0; i < e->n && !h->retried; i++) {
		if (e->list[i] == FINGERPRINT_GREASE) {
			wr_u16(w, grease(d, GREASE_GROUP));
			wr_u16(w, 1);
			wr_u8(w, 0);
		}
		for (size_t k = 0; k < h->n_shares; k++) {
			if (h->shares[k].group != e->list[i])
				continue;
			wr_u16(w, e->list[i]);
			wr_u16(w, (unsigned)h->shares[k].key.n);
			wr_bytes(w, h->shares[k].key.p, h->shares[k].key.n);
		}
	}
	if (h->retried && h->n_shares > 0) {
		wr_u16(w, h->shares[0].group);
		wr_u16(w, (unsigned)h->shares[0].key.n);
		wr_bytes(w, h->shares[0].key.p, h->shares[0].key.n);
	}
	close16(w, list);
}

static void put_ech(struct wr *w, const struct fingerprint_extension *e, const struct draw *d)
{
	uint16_t payload = e->list[d->ech_length % e->n];

	wr_u8(w, 0);  /* outer */
	wr_u16(w, 1); /* HKDF-SHA256 */
	wr_u16(w, e->aeads[d->ech_aead % e->n_aeads]);
	wr_u8(w, d->ech_id);
	wr_u16(w, ECH_KEY_LEN);
	wr_bytes(w, d->ech_key, ECH_KEY_LEN);
	wr_u16(w, payload);
	wr_bytes(w, d->ech_payload, payload);
}

static void put_body(struct wr *w, const struct fingerprint_extension *e,
		     const struct fingerprint_hello *h, const struct draw *d)
{
	size_t at;

	switch (e->kind) {
	case FINGERPRINT_SNI:
		put_sni(w, h->sni);
		break;
	case FINGERPRINT_ALPN:
		at = open16(w);
		wr_bytes(w, h->alpn.p, h->alpn.n);
		close16(w, at);
		break;
	case FINGERPRINT_ALPS:
		wr_u16(w, 3);
		wr_bytes(w, "\2h2", 3);
		break;
	case FINGERPRINT_GROUPS:
		wr_u16(w, e->n * 2u);
		for (size_t i = 0; i < e->n; i++)
			wr_u16(w, listed(e->list[i], d, GREASE_GROUP));
		break;
	case FINGERPRINT_VERSIONS:
		wr_u8(w, e->n * 2u);
		for (size_t i = 0; i < e->n; i++)
			wr_u16(w, listed(e->list[i], d, GREASE_VERSION));
		break;
	case FINGERPRINT_SHARES:
		put_shares(w, e, h, d);
		break;
	case FINGERPRINT_ECH:
		put_ech(w, e, d);
		break;
	default:
		wr_bytes(w, e->body, e->n);
	}
}

static bool left_out(const struct fingerprint_extension *e, const struct fingerprint_hello *h)
{
	switch (e->kind) {
	case FINGERPRINT_SNI:
		return h->sni.n == 0;
	case FINGERPRINT_ALPN:
		return h->alpn.n == 0;
	case FINGERPRINT_ALPS:
		return !has_h2(h->alpn);
	default:
		return false;
	}
}

static void put_extension(struct wr *w, const struct fingerprint_extension *e,
			  const struct fingerprint_hello *h, const struct draw *d, int *greased)
{
	size_t at;

	if (left_out(e, h))
		return;
	wr_u16(w, e->kind == FINGERPRINT_GREASED
			  ? grease(d, (*greased)++ ? GREASE_SECOND : GREASE_FIRST)
			  : e->type);
	at = open16(w);
	put_body(w, e, h, d);
	close16(w, at);
	if (e->kind == FINGERPRINT_SHARES && h->cookie.n > 0) {
		wr_u16(w, TLS_EXT_COOKIE);
		wr_u16(w, (unsigned)h->cookie.n + 2);
		wr_u16(w, (unsigned)h->cookie.n);
		wr_bytes(w, h->cookie.p, h->cookie.n);
	}
}

/* @start: where the message begins in @w. */
static void put_padding(struct wr *w, size_t start)
{
	size_t len = w->n - start, pad;
	uint8_t *at;

	if (w->bad || len < PAD_FROM || len >= PAD_TO)
		return;
	pad = PAD_TO - len;
	pad = pad > 4 ? pad - 4 : 1;
	wr_u16(w, TLS_EXT_PADDING);
	wr_u16(w, (unsigned)pad);
	at = wr_room(w, pad);
	if (at)
		memset(at, 0, pad);
}

/* A random order of what may be shuffled, by Fisher and Yates. */
static void set_order(const struct fingerprint *fp, struct draw *d,
		      uint8_t order[FINGERPRINT_EXTENSIONS_MAX])
{
	for (uint8_t i = 0; i < fp->n_extensions; i++)
		order[i] = i;
	for (size_t i = fp->shuffle_to; i > (size_t)fp->shuffle_from + 1; i--) {
		size_t n = i - fp->shuffle_from, k = fp->shuffle_from + d->order[i - 1] % n;
		uint8_t x = order[i - 1];

		order[i - 1] = order[k];
		order[k] = x;
	}
}

static void put_extensions(struct wr *w, const struct fingerprint *fp,
			   const struct fingerprint_hello *h, struct draw *d, size_t start)
{
	uint8_t order[FINGERPRINT_EXTENSIONS_MAX];
	size_t at = open16(w);
	int greased = 0;

	set_order(fp, d, order);
	for (size_t i = 0; i < fp->n_extensions; i++) {
		const struct fingerprint_extension *e = &fp->extensions[order[i]];

		if (e->kind == FINGERPRINT_PADDING)
			put_padding(w, start);
		else
			put_extension(w, e, h, d, &greased);
	}
	close16(w, at);
}

int fingerprint_encode(struct wr *out, const struct fingerprint *fp,
		       const struct fingerprint_hello *h)
{
	size_t start = out->n, len;
	struct draw d;
	int err = draw(&d, h->seed);

	if (err)
		return err;
	if (h->cookie.n > 0xfff0 || h->sni.n > 0xff || h->alpn.n > 0xfff0)
		return -ERR_LIMIT;
	wr_u32(out, (uint32_t)TLS_MSG_CLIENT_HELLO << 24);
	wr_u16(out, TLS_VERSION_1_2);
	wr_bytes(out, h->random, TLS_RANDOM_LEN);
	wr_u8(out, (unsigned)h->session_id.n);
	wr_bytes(out, h->session_id.p, h->session_id.n);
	wr_u16(out, fp->n_suites * 2u);
	for (size_t i = 0; i < fp->n_suites; i++)
		wr_u16(out, listed(fp->suites[i], &d, GREASE_SUITE));
	wr_u16(out, 0x0100); /* no compression */
	put_extensions(out, fp, h, &d, start);
	if (out->bad)
		return -ERR_LIMIT;
	len = out->n - start - TLS_MSG_HEADER_LEN;
	out->p[start + 1] = (uint8_t)(len >> 16);
	out->p[start + 2] = (uint8_t)(len >> 8);
	out->p[start + 3] = (uint8_t)len;
	return 0;
}

static const struct fingerprint_extension *find(const struct fingerprint *fp,
						enum fingerprint_kind kind)
{
	for (size_t i = 0; i < fp->n_extensions; i++)
		if (fp->extensions[i].kind == kind)
			return &fp->extensions[i];
	return NULL;
}

size_t fingerprint_shares(const struct fingerprint *fp, uint16_t groups[FINGERPRINT_SHARES_MAX])
{
	const struct fingerprint_extension *e = find(fp, FINGERPRINT_SHARES);
	size_t n = 0;

	for (size_t i = 0; e && i < e->n && n < FINGERPRINT_SHARES_MAX; i++)
		if (e->list[i] != FINGERPRINT_GREASE)
			groups[n++] = e->list[i];
	return n;
}

bool fingerprint_has_group(const struct fingerprint *fp, uint16_t group)
{
	const struct fingerprint_extension *e = find(fp, FINGERPRINT_GROUPS);

	for (size_t i = 0; e && i < e->n; i++)
		if (e->list[i] == group)
			return group != FINGERPRINT_GREASE;
	return false;
}

bool fingerprint_has_suite(const struct fingerprint *fp, uint16_t suite)
{
	for (size_t i = 0; i < fp->n_suites; i++)
		if (fp->suites[i] == suite)
			return suite != FINGERPRINT_GREASE;
	return false;
}
