/*
 * Initial packets of a QUIC client (RFC 9000 17.2.2). Their keys follow from the
 * connection id that the client made up for its first packet (RFC 9001 5.2), so
 * anybody may open them:
 *
 *     u8 form | u32 version | u8 dcid | u8 scid | varint token | varint length |
 *     packet number 1..4 | sealed frames
 *
 * Low bits of the form byte and the packet number are masked with a block that
 * AES makes of a sample of the ciphertext. A datagram may hold further packets,
 * which are skipped; what counts are CRYPTO frames, which carry pieces of the
 * ClientHello at any offset, in any order, more than once.
 */
#include "proto/sniff.h"

#include "crypto/aead.h"
#include "crypto/aesblock.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"

enum { CID_MAX = 20, SAMPLE_AT = 4, HEADER_MAX = 1500 };

struct version {
	uint32_t number;
	uint8_t initial; /* packet types differ between versions */
	uint8_t retry;
	uint8_t salt[20];
	const char *key, *iv, *hp; /* labels */
};

static const struct version versions[] = {
	{0x00000001,
	 0,
	 3,
	 {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
	  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
	 "quic key",
	 "quic iv",
	 "quic hp"},
	{0x6b3343cf,
	 1,
	 0,
	 {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
	  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
	 "quicv2 key",
	 "quicv2 iv",
	 "quicv2 hp"},
	{0xff00001d,
	 0,
	 3,
	 {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
	  0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99},
	 "quic key",
	 "quic iv",
	 "quic hp"},
};

/* One packet, its parts borrowed from the datagram. */
struct packet {
	const struct version *version;
	uint8_t type;
	struct span dcid;
	struct span header; /* up to the packet number */
	struct span rest;   /* packet number and sealed frames */
};

struct keys {
	uint8_t key[16], iv[12], hp[16];
};

static uint64_t read_varint(struct rd *rd)
{
	uint8_t first = rd_u8(rd);
	uint64_t v = first & 0x3f;

	for (unsigned n = (1u << (first >> 6)) - 1; n > 0; n--)
		v = v << 8 | rd_u8(rd);
	return v;
}

static struct span take_varint(struct rd *rd)
{
	uint64_t n = read_varint(rd);

	return rd_take(rd, n > SIZE_MAX ? SIZE_MAX : (size_t)n);
}

/* The next packet of a datagram. False: no long header of a version we know. */
static bool read_packet(struct rd *rd, struct packet *p)
{
	const uint8_t *from = rd->p;
	uint8_t form = rd_u8(rd);
	uint32_t number = rd_u32(rd);
	struct span scid;

	p->version = NULL;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i].number == number)
			p->version = &versions[i];
	if (rd->bad || (form & 0xc0) != 0xc0 || !p->version)
		return false;
	p->type = form >> 4 & 3;
	p->dcid = rd_take(rd, rd_u8(rd));
	scid = rd_take(rd, rd_u8(rd));
	if (p->dcid.n > CID_MAX || scid.n > CID_MAX || p->type == p->version->retry)
		return false;
	if (p->type == p->version->initial)
		take_varint(rd);
	p->rest.n = (size_t)read_varint(rd);
	p->header = span_of(from, (size_t)(rd->p - from));
	p->rest = rd_take(rd, p->rest.n);
	return !rd->bad;
}

static int derive(struct keys *k, const struct version *v, struct span cid)
{
	struct span none = span_of(NULL, 0), prk;
	uint8_t initial[SHA256_LEN], client[SHA256_LEN];
	int err = kdf_extract(SHA_ALG_256, initial, span_of(v->salt, sizeof(v->salt)), cid);

	prk = span_of(initial, sizeof(initial));
	if (err == 0)
		err = kdf_expand_label(SHA_ALG_256, client, sizeof(client), prk, "client in", none);
	prk = span_of(client, sizeof(client));
	if (err == 0)
		err = kdf_expand_label(SHA_ALG_256, k->key, sizeof(k->key), prk, v->key, none);
	if (err == 0)
		err = kdf_expand_label(SHA_ALG_256, k->iv, sizeof(k->iv), prk, v->iv, none);
	if (err == 0)
		err = kdf_expand_label(SHA_ALG_256, k->hp, sizeof(k->hp), prk, v->hp, none);
	return err;
}

/* Opens @p into @out; the frames, or an empty span when this is no client's packet. */
static struct span open_packet(const struct packet *p, struct span cid,
			       uint8_t out[SNIFF_QUIC_PACKET_MAX])
{
	uint8_t ad[HEADER_MAX + 4], mask[AESBLOCK_LEN], nonce[12];
	struct span none = span_of(NULL, 0);
	size_t pn_len, h = p->header.n;
	struct aead *a;
	struct keys k;
	int err;

	if (h > HEADER_MAX || p->rest.n > SNIFF_QUIC_PACKET_MAX ||
	    p->rest.n < SAMPLE_AT + AESBLOCK_LEN || derive(&k, p->version, cid) != 0 ||
	    aesblock_once(AESBLOCK_ENCRYPT, k.hp, sizeof(k.hp), mask, p->rest.p + SAMPLE_AT) != 0)
		return none;
	memcpy(ad, p->header.p, h);
	ad[0] ^= mask[0] & 0x0f;
	pn_len = (ad[0] & 3) + 1u;
	memcpy(nonce, k.iv, sizeof(nonce));
	for (size_t i = 0; i < pn_len; i++) {
		ad[h + i] = p->rest.p[i] ^ mask[1 + i];
		/* few packets have been sent, so the number is not cut short */
		nonce[sizeof(nonce) - pn_len + i] ^= ad[h + i];
	}
	a = aead_new(AEAD_AES_128_GCM, k.key);
	err = a ? aead_open(a, nonce, span_of(ad, h + pn_len), out,
			    span_of(p->rest.p + pn_len, p->rest.n - pn_len))
		: -1;
	aead_free(a);
	return err == 0 ? span_of(out, p->rest.n - pn_len - AEAD_TAG) : none;
}

static bool keep_crypto(struct sniff_state *st, uint64_t offset, struct span data)
{
	if (offset > SNIFF_HELLO_MAX || data.n > SNIFF_HELLO_MAX - offset)
		return false;
	for (size_t i = 0; i < data.n; i++) {
		size_t at = (size_t)offset + i;

		st->hello[at] = data.p[i];
		st->have[at / 8] |= (uint8_t)(1 << at % 8);
	}
	return true;
}

static void skip_ack(struct rd *rd, bool ecn)
{
	uint64_t ranges;

	read_varint(rd); /* largest */
	read_varint(rd); /* delay */
	ranges = read_varint(rd);
	read_varint(rd); /* first range */
	for (uint64_t i = 0; i < ranges && !rd->bad; i++) {
		read_varint(rd);
		read_varint(rd);
	}
	for (int i = 0; ecn && i < 3; i++)
		read_varint(rd);
}

/* False when something is in there that an Initial packet may not hold (RFC 9000 12.5). */
static bool read_frames(struct sniff_state *st, struct span frames)
{
	struct rd rd = rd_of(frames);

	while (rd.n > 0 && !rd.bad) {
		uint64_t type = read_varint(&rd), offset;
		struct span data;

		switch (type) {
		case 0x00: /* PADDING */
		case 0x01: /* PING */
			break;
		case 0x02: /* ACK */
		case 0x03:
			skip_ack(&rd, type == 0x03);
			break;
		case 0x06: /* CRYPTO */
			offset = read_varint(&rd);
			data = take_varint(&rd);
			if (rd.bad || !keep_crypto(st, offset, data))
				return false;
			break;
		case 0x1c: /* CONNECTION_CLOSE */
			read_varint(&rd);
			read_varint(&rd);
			take_varint(&rd);
			break;
		default:
			return false;
		}
	}
	return !rd.bad;
}

/* Bytes of the ClientHello that are there without a gap. */
static size_t gapless(const struct sniff_state *st)
{
	size_t n = 0;

	while (n < SNIFF_HELLO_MAX && st->have[n / 8] >> n % 8 & 1)
		n += n % 8 == 0 && st->have[n / 8] == 0xff ? 8 : 1;
	return n;
}

enum sniff_verdict sniff_quic(struct sniff_state *st, struct sniff_result *out,
			      struct span datagram)
{
	uint8_t plain[SNIFF_QUIC_PACKET_MAX];
	enum sniff_verdict v = st->quic ? SNIFF_MORE : SNIFF_NONE;
	struct rd rd = rd_of(datagram);
	struct packet p;

	while (v != SNIFF_FOUND && rd.n > 0 && read_packet(&rd, &p)) {
		struct span cid = st->quic ? span_of(st->cid, st->cid_len) : p.dcid;
		struct span frames;

		if (p.type != p.version->initial)
			continue;
		frames = open_packet(&p, cid, plain);
		if (frames.n == 0)
			continue;
		if (!st->quic) {
			st->quic = true;
			st->cid_len = (uint8_t)cid.n;
			memcpy(st->cid, cid.p, cid.n);
		}
		if (!read_frames(st, frames))
			return SNIFF_NONE;
		v = sniff_hello(out, span_of(st->hello, gapless(st)));
		if (v == SNIFF_NONE)
			break;
	}
	out->proto = st->quic ? SNIFF_QUIC : SNIFF_UNKNOWN;
	return v;
}
