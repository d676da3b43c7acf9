#include "proto/tlshello.h"

#include "base/err.h"

enum {
	RECORD_HEADER_LEN = 5,
	RECORD_HANDSHAKE = 22,
	RECORD_MAX = 16384 + 256, /* some peers send a little more than they may */
	NAME_TYPE_HOST = 0,
};

/* SHA-256 of "HelloRetryRequest", section 4.1.3. */
static const uint8_t retry_random[TLS_RANDOM_LEN] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static struct span take_u8(struct rd *r)
{
	return rd_take(r, rd_u8(r));
}

static struct span take_u16(struct rd *r)
{
	return rd_take(r, rd_u16(r));
}

bool tlshello_extension_next(struct rd *r, uint16_t *type, struct span *body)
{
	if (r->n == 0 || r->bad)
		return false;
	*type = rd_u16(r);
	*body = take_u16(r);
	return !r->bad;
}

bool tlshello_extension(struct span extensions, uint16_t type, struct span *body)
{
	struct rd r = rd_of(extensions);
	uint16_t t;

	while (tlshello_extension_next(&r, &t, body))
		if (t == type)
			return true;
	return false;
}

/* Complete, and none twice (section 4.2). A bit for each type: lists may be long. */
static bool extensions_hold(struct span extensions)
{
	uint8_t seen[65536 / 8] = {0};
	struct rd r = rd_of(extensions);
	struct span body;
	uint16_t type;

	while (tlshello_extension_next(&r, &type, &body)) {
		if (seen[type / 8] & 1 << type % 8)
			return false;
		seen[type / 8] |= (uint8_t)(1 << type % 8);
	}
	return !r.bad;
}

/* The message of @type at @in. As the decoders. */
static ssize_t frame(struct span *message, enum tls_message type, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t got = rd_u8(&r);
	size_t len = rd_u24(&r);

	if (in.n > 0 && got != type)
		return -ERR_MALFORMED;
	rd_take(&r, len);
	if (r.bad)
		return 0;
	*message = span_of(in.p, TLS_MSG_HEADER_LEN + len);
	return (ssize_t)message->n;
}

/* The rest of a hello; extensions were optional until TLS 1.3. */
static bool take_extensions(struct rd *r, struct span *out)
{
	*out = span_of(NULL, 0);
	if (r->n == 0)
		return !r->bad;
	*out = take_u16(r);
	return !r->bad && r->n == 0 && extensions_hold(*out);
}

ssize_t tlshello_client_decode(struct tlshello_client *out, struct span in)
{
	struct tlshello_client h;
	ssize_t n = frame(&h.message, TLS_MSG_CLIENT_HELLO, in);
	struct rd r;

	if (n <= 0)
		return n;
	r = rd_of(h.message);
	rd_take(&r, TLS_MSG_HEADER_LEN);
	h.version = rd_u16(&r);
	h.random = rd_take(&r, TLS_RANDOM_LEN);
	h.session_id = take_u8(&r);
	h.suites = take_u16(&r);
	h.compressions = take_u8(&r);
	if (r.bad || h.session_id.n > TLS_SESSION_ID_MAX || h.suites.n == 0 || h.suites.n % 2 ||
	    h.compressions.n == 0 || !take_extensions(&r, &h.extensions))
		return -ERR_MALFORMED;
	*out = h;
	return n;
}

/* What supported_versions and key_share say in a ServerHello. */
static bool read_answers(struct tlshello_server *h)
{
	struct span body;
	struct rd r;

	h->version = h->legacy_version;
	h->group = 0;
	h->share = span_of(NULL, 0);
	if (tlshello_extension(h->extensions, TLS_EXT_VERSIONS, &body)) {
		r = rd_of(body);
		h->version = rd_u16(&r);
		if (r.bad || r.n)
			return false;
	}
	if (tlshello_extension(h->extensions, TLS_EXT_KEY_SHARE, &body)) {
		r = rd_of(body);
		h->group = rd_u16(&r);
		if (!h->retry)
			h->share = take_u16(&r);
		if (r.bad || r.n)
			return false;
	}
	return true;
}

ssize_t tlshello_server_decode(struct tlshello_server *out, struct span in)
{
	struct tlshello_server h;
	ssize_t n = frame(&h.message, TLS_MSG_SERVER_HELLO, in);
	struct rd r;

	if (n <= 0)
		return n;
	r = rd_of(h.message);
	rd_take(&r, TLS_MSG_HEADER_LEN);
	h.legacy_version = rd_u16(&r);
	h.random = rd_take(&r, TLS_RANDOM_LEN);
	h.session_id = take_u8(&r);
	h.suite = rd_u16(&r);
	h.compression = rd_u8(&r);
	if (r.bad || h.session_id.n > TLS_SESSION_ID_MAX || !take_extensions(&r, &h.extensions))
		return -ERR_MALFORMED;
	h.retry = span_eq(h.random, span_of(retry_random, sizeof(retry_random)));
	if (!read_answers(&h))
		return -ERR_MALFORMED;
	*out = h;
	return n;
}

int tlshello_sni(const struct tlshello_client *h, struct span *name)
{
	struct span body;
	struct rd r, list;

	if (!tlshello_extension(h->extensions, TLS_EXT_SERVER_NAME, &body))
		return -ERR_EOF;
	r = rd_of(body);
	list = rd_of(take_u16(&r));
	if (r.bad || r.n != 0)
		return -ERR_MALFORMED;
	while (list.n > 0) {
		uint8_t type = rd_u8(&list);
		struct span text = take_u16(&list);

		if (list.bad)
			return -ERR_MALFORMED;
		if (type == NAME_TYPE_HOST) {
			*name = text;
			return 0;
		}
	}
	return -ERR_EOF;
}

bool tlshello_offers_13(const struct tlshello_client *h)
{
	struct span body;
	struct rd r;

	if (!tlshello_extension(h->extensions, TLS_EXT_VERSIONS, &body))
		return false;
	r = rd_of(body);
	if (rd_u8(&r) != r.n)
		return false;
	while (r.n > 0 && !r.bad)
		if (rd_u16(&r) == TLS_VERSION_1_3)
			return true;
	return false;
}

bool tlshello_share(const struct tlshello_client *h, uint16_t group, struct span *share)
{
	struct span body;
	struct rd r;

	if (!tlshello_extension(h->extensions, TLS_EXT_KEY_SHARE, &body))
		return false;
	r = rd_of(body);
	if (rd_u16(&r) != r.n)
		return false;
	while (r.n > 0) {
		uint16_t g = rd_u16(&r);
		struct span key = take_u16(&r);

		if (r.bad)
			return false;
		if (g == group) {
			*share = key;
			return true;
		}
	}
	return false;
}

struct span tlshello_alpn(const struct tlshello_client *h)
{
	struct span body, list;
	struct rd r;

	if (!tlshello_extension(h->extensions, TLS_EXT_ALPN, &body))
		return span_of(NULL, 0);
	r = rd_of(body);
	list = take_u16(&r);
	if (r.bad || r.n)
		return span_of(NULL, 0);
	r = rd_of(list);
	while (r.n > 0)
		if (take_u8(&r).n == 0)
			return span_of(NULL, 0);
	return list;
}

/* A record header as far as it is there; *@len is 0 until it is complete. */
static bool record_fits(struct span in, size_t *len)
{
	*len = 0;
	if ((in.n > 0 && in.p[0] != RECORD_HANDSHAKE) || (in.n > 1 && in.p[1] != 3))
		return false;
	if (in.n < RECORD_HEADER_LEN)
		return true;
	*len = (size_t)in.p[3] << 8 | in.p[4];
	return *len > 0 && *len <= RECORD_MAX;
}

/* Bytes that are still missing of the message in @out: of its header while that is short. */
static size_t missing(const struct wr *out)
{
	struct rd r = rd_of(span_of(out->p, out->n));

	if (out->n < TLS_MSG_HEADER_LEN)
		return TLS_MSG_HEADER_LEN - out->n;
	rd_u8(&r);
	return TLS_MSG_HEADER_LEN + (size_t)rd_u24(&r) - out->n;
}

ssize_t tlshello_join(struct wr *out, struct span in, size_t *behind)
{
	const uint8_t *start = in.p;
	size_t len;

	for (;;) {
		struct span part;
		size_t lack;

		if (!record_fits(in, &len))
			return -ERR_MALFORMED;
		if (len == 0)
			return 0;
		in = span_of(in.p + RECORD_HEADER_LEN, in.n - RECORD_HEADER_LEN);
		part = span_of(in.p, in.n < len ? in.n : len);
		while ((lack = missing(out)) > 0 && part.n > 0) {
			size_t n = part.n < lack ? part.n : lack;

			if (out->n >= TLS_MSG_HEADER_LEN && lack > out->cap - out->n)
				return -ERR_LIMIT;
			wr_bytes(out, part.p, n);
			if (out->bad)
				return -ERR_LIMIT;
			part = span_of(part.p + n, part.n - n);
			in = span_of(in.p + n, in.n - n);
			len -= n;
		}
		if (lack == 0) {
			if (behind)
				*behind = len;
			return in.p - start;
		}
		if (len > 0)
			return 0; /* this record goes on */
	}
}
