/*
 * Shadowsocks packets. The first byte chooses method and direction, the second
 * whether the rest is raw, or a plaintext body that is sealed with the right key.
 */
#include <stdlib.h>

#include "base/err.h"
#include "crypto/aesblock.h"
#include "proto/ssaead.h"
#include "proto/ssudp.h"

enum { NOW = 1700000000, ROOM = 70000 };

static const struct ss_key key = {{1, 2, 3, 4}};
static const struct ss2022_time now = {NOW, 0};
static const uint8_t nonce[SSUDP_NONCE] = {3};
static uint8_t room[ROOM], second[ROOM];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool same(const struct ssudp_packet *a, const struct ssudp_packet *b)
{
	return addr_eq(&a->addr, &b->addr) && a->padding == b->padding &&
	       span_eq(a->payload, b->payload);
}

/* A packet under session id 7, packet id 0, with any body: by hand, as a peer may send it. */
static size_t craft(const struct ss_method *m, struct span body)
{
	static const uint8_t ids[16] = {[7] = 7};
	bool chacha = m->aead == AEAD_CHACHA20_POLY1305;
	struct span parts[2] = {span_of(ids, chacha ? 16 : 0), body};
	uint8_t sub[SS_KEY_MAX];
	struct aead *a;
	size_t at = 16;

	must(ss_subkey(sub, m, &key, span_of(ids, 8)) == 0);
	a = chacha ? aead_new(AEAD_XCHACHA20_POLY1305, key.b) : aead_new(m->aead, sub);
	must(a != NULL);
	if (chacha) {
		memcpy(room, nonce, SSUDP_NONCE);
		at = SSUDP_NONCE;
	} else {
		must(aesblock_once(AESBLOCK_ENCRYPT, key.b, m->key_len, room, ids) == 0);
	}
	must(aead_seal_parts(a, chacha ? nonce : ids + 4, span_of(NULL, 0), room + at, parts, 2) ==
	     0);
	aead_free(a);
	return at + parts[0].n + body.n + AEAD_TAG;
}

static void to_server(const struct ss_method *m, size_t n, bool authentic)
{
	struct ss2022_server conf = {.method = m, .key = key};
	struct ss_chain chain = {.method = m, .key = {key}, .n = 1};
	struct ssudp_server *s = ssudp_server_new(&conf);
	struct ssudp_client *c = ssudp_client_new(&chain, 7);
	struct ssudp_packet pkt, again;
	struct ssudp_session *session;
	struct ssudp_head head;

	must(s && c);
	if (ssudp_head_open(s, &head, room, n) == 0) {
		struct wr wr = wr_of(second, ROOM);

		session = ssudp_session_new(s, &head, 9);
		must(session != NULL);
		if (ssudp_session_open(session, &pkt, &head, room, NOW, NULL) == 0) {
			must(authentic);
			if (pkt.padding <= SS2022_PADDING_MAX) {
				must(ssudp_client_seal(c, &wr, &pkt, nonce, NOW) == 0);
				ssudp_session_free(session);
				must(ssudp_head_open(s, &head, second, wr.n) == 0);
				session = ssudp_session_new(s, &head, 9);
				must(session && ssudp_session_open(session, &again, &head, second,
								   NOW, NULL) == 0);
				must(same(&pkt, &again));
			}
		}
		ssudp_session_free(session);
	}
	ssudp_client_free(c);
	ssudp_server_free(s);
}

static void to_client(const struct ss_method *m, size_t n, bool authentic)
{
	struct ss_chain chain = {.method = m, .key = {key}, .n = 1};
	struct ss2022_server conf = {.method = m, .key = key};
	struct ssudp_head head = {.session = 5, .key = &key};
	struct ssudp_client *c = ssudp_client_new(&chain, 5);
	struct ssudp_packet pkt, again;
	int64_t skew;

	must(c != NULL);
	if (ssudp_client_open(c, &pkt, room, n, &now, &skew) == 0) {
		struct ssudp_server *s = ssudp_server_new(&conf);
		struct ssudp_session *session = s ? ssudp_session_new(s, &head, 8) : NULL;
		struct wr wr = wr_of(second, ROOM);

		must(authentic && session != NULL);
		if (pkt.padding <= SS2022_PADDING_MAX) {
			must(ssudp_session_seal(session, &wr, &pkt, nonce, NOW) == 0);
			must(ssudp_client_open(c, &again, second, wr.n, &now, NULL) == 0);
			must(same(&pkt, &again));
		}
		ssudp_session_free(session);
		ssudp_server_free(s);
	}
	ssudp_client_free(c);
}

static void classic(const struct ss_method *m, struct span in, bool authentic)
{
	struct ssaead_user user = {m, key};
	struct ssaead_packets *p = ssaead_packets_new(&user, 1);
	struct ssaead_packet pkt, again;
	uint8_t sub[SS_KEY_MAX], zero[SS_SALT_MAX] = {0};
	struct wr wr = wr_of(room, ROOM);

	must(p != NULL);
	if (authentic) {
		struct aead *a;

		must(ss_subkey(sub, m, &key, span_of(room, m->key_len)) == 0);
		a = aead_new(m->aead, sub);
		must(a && aead_seal(a, zero, span_of(NULL, 0), room + m->key_len, in) == 0);
		aead_free(a);
		wr.n = m->key_len + in.n + AEAD_TAG;
	} else {
		wr_bytes(&wr, in.p, in.n);
	}
	if (ssaead_packet_open(p, &pkt, span_of(room, wr.n), second) == 0) {
		must(authentic);
		wr = wr_of(room, ROOM);
		must(ssaead_packet_seal(p, &wr, 0, zero, &pkt.addr, pkt.payload) == 0);
		memcpy(second, room, wr.n);
		must(ssaead_packet_open(p, &again, span_of(second, wr.n), room) == 0);
		must(addr_eq(&pkt.addr, &again.addr) && pkt.payload.n == again.payload.n);
	}
	ssaead_packets_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ss_method *m;
	struct span in;
	size_t n;

	if (size < 2 || size > 60000)
		return 0;
	m = ss_method_at(data[0] % 7);
	in = span_of(data + 2, size - 2);
	if (m->kind == SS_CLASSIC) {
		classic(m, in, data[1] & 1);
		return 0;
	}
	if (data[1] & 1) {
		n = craft(m, in);
	} else {
		memcpy(room, in.p, in.n);
		n = in.n;
	}
	if (data[1] & 2)
		to_client(m, n, data[1] & 1);
	else
		to_server(m, n, data[1] & 1);
	return 0;
}
