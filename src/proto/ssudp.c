/*
 * Both sides are built from the same three steps. Sealing: the body's fixed part
 * goes to the stack, and the cipher joins it with the payload. Opening: header,
 * then body in place, then its fields. What differs between AES and ChaCha is
 * in struct side: where the header travels and which cipher opens a body.
 */
#include "proto/ssudp.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/aesblock.h"
#include "crypto/secret.h"
#include "proto/netaddr.h"

enum {
	TYPE_CLIENT = 0,
	TYPE_SERVER = 1,
	HEADER = 16, /* session id, packet id */
	BODY_FIXED = 1 + 8 + 2,
	PADDING_MAX = SS2022_PADDING_MAX,
	BODY_START_MAX = HEADER + BODY_FIXED + 8 + PADDING_MAX + NETADDR_MAX,
};

/* The way out of a session: its key, its id and how far it has counted. */
struct side {
	const struct ss_method *method;
	uint64_t session, next;
	struct aead *aead;	 /* subkey of the session; with ChaCha the key itself */
	struct aesblock *header; /* AES only */
};

static bool is_chacha(const struct ss_method *m)
{
	return m->aead == AEAD_CHACHA20_POLY1305;
}

static void put64(uint8_t at[8], uint64_t v)
{
	struct wr w = wr_of(at, 8);

	wr_u64(&w, v);
}

static struct aead *session_cipher(const struct ss_method *m, const struct ss_key *k,
				   uint64_t session)
{
	uint8_t id[8], sub[SS_KEY_MAX];
	struct aead *a = NULL;

	if (is_chacha(m))
		return aead_new(AEAD_XCHACHA20_POLY1305, k->b);
	put64(id, session);
	if (ss_subkey(sub, m, k, span_of(id, sizeof(id))) == 0)
		a = aead_new(m->aead, sub);
	secret_wipe(sub, sizeof(sub));
	return a;
}

static void side_fini(struct side *s)
{
	aead_free(s->aead);
	aesblock_free(s->header);
}

/* @user seals the body, @first the header: they differ for a client with a chain of keys. */
static int side_init(struct side *s, const struct ss_method *m, const struct ss_key *user,
		     const struct ss_key *first, uint64_t session)
{
	*s = (struct side){.method = m, .session = session};
	s->aead = session_cipher(m, user, session);
	if (!is_chacha(m))
		s->header = aesblock_new(AESBLOCK_ENCRYPT, first->b, m->key_len);
	if (s->aead && (s->header || is_chacha(m)))
		return 0;
	side_fini(s);
	return -ERR_NOMEM;
}

/* Everything of the body before the payload. @client: its session id, in replies only. */
static int body_start(struct wr *w, const struct ssudp_packet *pkt, const uint64_t *client,
		      uint64_t unix_s)
{
	uint8_t *pad;

	if (pkt->padding > PADDING_MAX)
		return -ERR_LIMIT;
	wr_u8(w, client ? TYPE_SERVER : TYPE_CLIENT);
	wr_u64(w, unix_s);
	if (client)
		wr_u64(w, *client);
	wr_u16(w, pkt->padding);
	pad = wr_room(w, pkt->padding);
	if (pad)
		memset(pad, 0, pkt->padding);
	return netaddr_write_socks(w, &pkt->addr);
}

static size_t overhead(const struct ss_method *m, size_t identities, bool reply,
		       const struct addr *addr, uint16_t padding)
{
	return HEADER + (is_chacha(m) ? SSUDP_NONCE : 0) + SS_IDENTITY * identities + BODY_FIXED +
	       (reply ? 8 : 0) + padding + netaddr_size(addr) + AEAD_TAG;
}

/* Header and body; @identity (@n_identity bytes, may be none) goes between them. */
static int seal(struct side *s, struct wr *out, const struct ssudp_packet *pkt,
		const uint64_t *client, struct span identity, const uint8_t *nonce, uint64_t unix_s)
{
	uint8_t start[BODY_START_MAX], *at;
	struct wr w = wr_of(start, sizeof(start));
	struct span parts[2];
	int err;

	wr_u64(&w, s->session);
	wr_u64(&w, s->next);
	err = body_start(&w, pkt, client, unix_s);
	if (err != 0)
		return err;
	if (pkt->payload.n > SIZE_MAX / 2)
		return -ERR_LIMIT;
	parts[0] = span_of(start, w.n);
	parts[1] = pkt->payload;
	if (is_chacha(s->method)) {
		wr_bytes(out, nonce, SSUDP_NONCE);
	} else {
		at = wr_room(out, HEADER);
		if (!at)
			return -ERR_LIMIT;
		err = aesblock_run(s->header, at, start);
		wr_bytes(out, identity.p, identity.n);
		parts[0] = span_of(start + HEADER, w.n - HEADER);
		nonce = start + 4;
	}
	at = wr_room(out, parts[0].n + parts[1].n + AEAD_TAG);
	if (!at)
		return -ERR_LIMIT;
	s->next++;
	return err ? err : aead_seal_parts(s->aead, nonce, span_of(NULL, 0), at, parts, 2);
}

/* The fields of an opened body. @client: the session id that a reply must carry, else NULL. */
static int read_body(struct ssudp_packet *out, struct span body, const uint64_t *client,
		     uint64_t unix_s, int64_t *skew)
{
	struct ssudp_packet pkt = {0};
	struct rd rd = rd_of(body);
	uint8_t type = rd_u8(&rd);
	uint64_t when = rd_u64(&rd);
	uint64_t session = client ? rd_u64(&rd) : 0;
	int err;

	if (rd.bad || type != (client ? TYPE_SERVER : TYPE_CLIENT))
		return -ERR_MALFORMED;
	err = ss2022_time_check(when, unix_s, skew);
	if (err != 0)
		return err;
	if (client && session != *client)
		return -ERR_AUTH;
	pkt.padding = rd_u16(&rd);
	rd_take(&rd, pkt.padding);
	if (rd.bad || netaddr_read_socks(&rd, &pkt.addr) != 1)
		return -ERR_MALFORMED;
	pkt.payload = rd_take(&rd, rd.n);
	*out = pkt;
	return 0;
}

/* Session and packet id of an opened ChaCha packet; the body is what follows. */
static int open_chacha(struct aead *a, struct ssudp_head *out, uint8_t *data, size_t n)
{
	struct rd rd;

	if (n < SSUDP_NONCE + HEADER + AEAD_TAG)
		return -ERR_MALFORMED;
	if (aead_open(a, data, span_of(NULL, 0), data + SSUDP_NONCE,
		      span_of(data + SSUDP_NONCE, n - SSUDP_NONCE)) != 0)
		return -ERR_AUTH;
	rd = rd_of(span_of(data + SSUDP_NONCE, n - SSUDP_NONCE - AEAD_TAG));
	out->session = rd_u64(&rd);
	out->packet = rd_u64(&rd);
	out->body = rd_take(&rd, rd.n);
	return 0;
}

/* Opens the AES body of @h in place; @data is the start of its packet. */
static int open_aes(struct aead *a, const struct ssudp_head *h, uint8_t *data, struct span *body)
{
	uint8_t ids[HEADER];
	uint8_t *at = data + (h->body.p - data);

	put64(ids, h->session);
	put64(ids + 8, h->packet);
	if (aead_open(a, ids + 4, span_of(NULL, 0), at, h->body) != 0)
		return -ERR_AUTH;
	*body = span_of(at, h->body.n - AEAD_TAG);
	return 0;
}

/* A session of the server as the client sees it. */
struct peer {
	uint64_t session, last_ms;
	struct aead *aead; /* NULL: slot unused */
	struct ss_window window;
};

struct ssudp_client {
	struct side out;
	struct ss_chain keys;
	struct aesblock *identity[SS_CHAIN_MAX - 1];
	uint8_t hash[SS_CHAIN_MAX - 1][SS_IDENTITY]; /* of the next key in the chain */
	struct aesblock *reply;			     /* opens headers of replies; AES only */
	struct peer peer[2];
};

static int client_init(struct ssudp_client *c, const struct ss_chain *keys, uint64_t session)
{
	const struct ss_method *m = keys->method;

	c->keys = *keys;
	if (side_init(&c->out, m, ss_chain_user(keys), &keys->key[0], session) != 0)
		return -ERR_NOMEM;
	if (is_chacha(m))
		return 0;
	for (size_t i = 0; i + 1 < keys->n; i++) {
		ss_identity_hash(c->hash[i], m, &keys->key[i + 1]);
		c->identity[i] = aesblock_new(AESBLOCK_ENCRYPT, keys->key[i].b, m->key_len);
		if (!c->identity[i])
			return -ERR_NOMEM;
	}
	c->reply = aesblock_new(AESBLOCK_DECRYPT, ss_chain_user(keys)->b, m->key_len);
	return c->reply ? 0 : -ERR_NOMEM;
}

struct ssudp_client *ssudp_client_new(const struct ss_chain *keys, uint64_t session)
{
	struct ssudp_client *c = calloc(1, sizeof(*c));

	if (c && client_init(c, keys, session) != 0) {
		ssudp_client_free(c);
		return NULL;
	}
	return c;
}

void ssudp_client_free(struct ssudp_client *c)
{
	if (!c)
		return;
	side_fini(&c->out);
	for (size_t i = 0; i < SS_CHAIN_MAX - 1; i++)
		aesblock_free(c->identity[i]);
	aesblock_free(c->reply);
	aead_free(c->peer[0].aead);
	aead_free(c->peer[1].aead);
	secret_wipe(c, sizeof(*c));
	free(c);
}

size_t ssudp_client_overhead(const struct ssudp_client *c, const struct addr *target,
			     uint16_t padding)
{
	return overhead(c->out.method, c->keys.n - 1, false, target, padding);
}

int ssudp_client_seal(struct ssudp_client *c, struct wr *out, const struct ssudp_packet *pkt,
		      const uint8_t *nonce, uint64_t unix_s)
{
	uint8_t identity[(SS_CHAIN_MAX - 1) * SS_IDENTITY], ids[HEADER];
	size_t n = c->keys.n - 1;

	put64(ids, c->out.session);
	put64(ids + 8, c->out.next);
	for (size_t i = 0; i < n; i++) {
		uint8_t *at = identity + i * SS_IDENTITY;

		for (size_t b = 0; b < SS_IDENTITY; b++)
			at[b] = c->hash[i][b] ^ ids[b];
		if (aesblock_run(c->identity[i], at, at) != 0)
			return -ERR_SYS;
	}
	return seal(&c->out, out, pkt, NULL, span_of(identity, n * SS_IDENTITY), nonce, unix_s);
}

static struct peer *find_peer(struct ssudp_client *c, uint64_t session)
{
	for (size_t i = 0; i < 2; i++)
		if (c->peer[i].aead && c->peer[i].session == session)
			return &c->peer[i];
	return NULL;
}

/* The slot for a session not seen before: an empty one, or the one that fell silent first. */
static struct peer *slot_for_new(struct ssudp_client *c, uint64_t now_ms)
{
	struct peer *p = &c->peer[0];

	if (p->aead && (!c->peer[1].aead || c->peer[1].last_ms < p->last_ms))
		p = &c->peer[1];
	return !p->aead || now_ms - p->last_ms >= SSUDP_FORGET_MS ? p : NULL;
}

static int client_head(struct ssudp_client *c, struct ssudp_head *h, uint8_t *data, size_t n)
{
	uint8_t ids[HEADER];
	struct rd rd;

	if (is_chacha(c->out.method))
		return open_chacha(c->out.aead, h, data, n);
	if (n < HEADER + AEAD_TAG)
		return -ERR_MALFORMED;
	if (aesblock_run(c->reply, ids, data) != 0)
		return -ERR_SYS;
	rd = rd_of(span_of(ids, sizeof(ids)));
	h->session = rd_u64(&rd);
	h->packet = rd_u64(&rd);
	h->body = span_of(data + HEADER, n - HEADER);
	return 0;
}

/* Opens and judges the packet @h under session @p, known or on trial. */
static int client_judge(struct ssudp_client *c, struct peer *p, struct ssudp_packet *out,
			const struct ssudp_head *h, uint8_t *data, uint64_t unix_s, int64_t *skew)
{
	struct span body = h->body;
	int err = 0;

	if (!ss_window_fresh(&p->window, h->packet))
		return -ERR_REPLAY;
	if (!is_chacha(c->out.method))
		err = open_aes(p->aead, h, data, &body);
	return err ? err : read_body(out, body, &c->out.session, unix_s, skew);
}

int ssudp_client_open(struct ssudp_client *c, struct ssudp_packet *out, uint8_t *data, size_t n,
		      const struct ss2022_time *now, int64_t *skew)
{
	struct ssudp_head h = {0};
	struct peer fresh = {0}, *p, *slot = NULL;
	int err = client_head(c, &h, data, n);

	if (err != 0)
		return err;
	p = find_peer(c, h.session);
	if (!p) {
		slot = slot_for_new(c, now->mono_ms);
		if (!slot)
			return -ERR_LIMIT;
		fresh.session = h.session;
		fresh.aead = session_cipher(c->out.method, ss_chain_user(&c->keys), h.session);
		if (!fresh.aead)
			return -ERR_NOMEM;
		p = &fresh;
	}
	err = client_judge(c, p, out, &h, data, now->unix_s, skew);
	if (err != 0) {
		aead_free(fresh.aead);
		return err;
	}
	ss_window_mark(&p->window, h.packet);
	p->last_ms = now->mono_ms;
	if (slot) {
		aead_free(slot->aead);
		*slot = fresh;
	}
	return 0;
}

struct ssudp_server {
	struct ss2022_server conf;
	struct aesblock *header; /* AES only: also opens identity headers */
	struct aead *aead;	 /* ChaCha only: one key for all packets */
};

struct ssudp_server *ssudp_server_new(const struct ss2022_server *conf)
{
	struct ssudp_server *s = calloc(1, sizeof(*s));
	const struct ss_method *m = conf->method;

	if (!s)
		return NULL;
	s->conf = *conf;
	if (is_chacha(m))
		s->aead = aead_new(AEAD_XCHACHA20_POLY1305, conf->key.b);
	else
		s->header = aesblock_new(AESBLOCK_DECRYPT, conf->key.b, m->key_len);
	if (!s->aead && !s->header) {
		ssudp_server_free(s);
		return NULL;
	}
	return s;
}

void ssudp_server_free(struct ssudp_server *s)
{
	if (!s)
		return;
	aesblock_free(s->header);
	aead_free(s->aead);
	secret_wipe(s, sizeof(*s));
	free(s);
}

static int server_user(struct ssudp_server *s, struct ssudp_head *h, const uint8_t ids[HEADER],
		       const uint8_t *identity)
{
	uint8_t hash[SS_IDENTITY];

	if (aesblock_run(s->header, hash, identity) != 0)
		return -ERR_SYS;
	for (size_t i = 0; i < SS_IDENTITY; i++)
		hash[i] ^= ids[i];
	return ss2022_user_find(&s->conf, hash, &h->user, &h->key);
}

int ssudp_head_open(struct ssudp_server *s, struct ssudp_head *out, uint8_t *data, size_t n)
{
	size_t start = HEADER + (s->conf.users ? SS_IDENTITY : 0);
	struct ssudp_head h = {.key = &s->conf.key};
	uint8_t ids[HEADER];
	struct rd rd;
	int err = 0;

	if (is_chacha(s->conf.method)) {
		err = open_chacha(s->aead, &h, data, n);
		if (err == 0)
			*out = h;
		return err;
	}
	if (n < start + AEAD_TAG)
		return -ERR_MALFORMED;
	if (aesblock_run(s->header, ids, data) != 0)
		return -ERR_SYS;
	rd = rd_of(span_of(ids, sizeof(ids)));
	h.session = rd_u64(&rd);
	h.packet = rd_u64(&rd);
	if (s->conf.users)
		err = server_user(s, &h, ids, data + HEADER);
	if (err != 0)
		return err;
	h.body = span_of(data + start, n - start);
	*out = h;
	return 0;
}

struct ssudp_session {
	struct side out;
	uint64_t client;
	int user;
	struct aead *aead; /* opens bodies; AES only */
	struct ss_window window;
};

struct ssudp_session *ssudp_session_new(struct ssudp_server *s, const struct ssudp_head *head,
					uint64_t own)
{
	const struct ss_method *m = s->conf.method;
	struct ssudp_session *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->client = head->session;
	n->user = head->user;
	if (side_init(&n->out, m, head->key, head->key, own) != 0) {
		free(n);
		return NULL;
	}
	if (!is_chacha(m)) {
		n->aead = session_cipher(m, head->key, head->session);
		if (!n->aead) {
			ssudp_session_free(n);
			return NULL;
		}
	}
	return n;
}

void ssudp_session_free(struct ssudp_session *s)
{
	if (!s)
		return;
	side_fini(&s->out);
	aead_free(s->aead);
	free(s);
}

int ssudp_session_open(struct ssudp_session *s, struct ssudp_packet *out,
		       const struct ssudp_head *head, uint8_t *data, uint64_t unix_s, int64_t *skew)
{
	struct span body = head->body;
	int err = 0;

	if (head->session != s->client || head->user != s->user)
		return -ERR_AUTH;
	if (!ss_window_fresh(&s->window, head->packet))
		return -ERR_REPLAY;
	if (!is_chacha(s->out.method))
		err = open_aes(s->aead, head, data, &body);
	if (err == 0)
		err = read_body(out, body, NULL, unix_s, skew);
	if (err == 0)
		ss_window_mark(&s->window, head->packet);
	return err;
}

size_t ssudp_session_overhead(const struct ssudp_session *s, const struct addr *source,
			      uint16_t padding)
{
	return overhead(s->out.method, 0, true, source, padding);
}

int ssudp_session_seal(struct ssudp_session *s, struct wr *out, const struct ssudp_packet *pkt,
		       const uint8_t *nonce, uint64_t unix_s)
{
	return seal(&s->out, out, pkt, &s->client, span_of(NULL, 0), nonce, unix_s);
}
