/* Shadowsocks 2022 packets: vectors both ways, sessions, windows, users, damage, truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/ssudp.h"
#include "hex.h"
#include "ss_vectors.h"

enum { VECTORS = sizeof(ss_packet_vectors) / sizeof(ss_packet_vectors[0]), ROOM = 2048 };

static const uint64_t CLIENT_ID = 0x1122334455667788, SERVER_ID = 0x99aabbccddeeff00;
static const struct ss2022_time now = {SS_TIME, 1000};

struct fixture {
	const struct ss_packet_vector *v;
	const struct ss_method *m;
	struct ss_chain chain;
	struct ss2022_server conf;
	struct ss_users *users;
	struct ssudp_client *client;
	struct ssudp_server *server;
	uint8_t nonce[24], wire_b[ROOM];
	struct span wire;
};

static void setup(struct fixture *f, const struct ss_packet_vector *v)
{
	memset(f, 0, sizeof(*f));
	f->v = v;
	f->m = f->chain.method = f->conf.method = ss_method_find(span_str(v->method));
	hex_read(f->chain.key[f->chain.n++].b, SS_KEY_MAX, v->key);
	f->conf.key = f->chain.key[0];
	if (v->user_key) {
		struct ss_key all[2] = {{{1}}, {{0}}};

		hex_read(f->chain.key[f->chain.n++].b, SS_KEY_MAX, v->user_key);
		all[1] = f->chain.key[1];
		assert_int_equal(ss_users_new(&f->users, f->m, all, 2, NULL), 0);
		f->conf.users = f->users;
	}
	if (v->nonce)
		hex_read(f->nonce, 24, v->nonce);
	f->wire = span_of(f->wire_b, hex_read(f->wire_b, ROOM, v->wire));
	f->client = ssudp_client_new(&f->chain, CLIENT_ID);
	f->server = ssudp_server_new(&f->conf);
	assert_non_null(f->client);
	assert_non_null(f->server);
}

static void teardown(struct fixture *f)
{
	ssudp_client_free(f->client);
	ssudp_server_free(f->server);
	ss_users_free(f->users);
}

static struct ssudp_packet packet(const char *payload)
{
	struct ssudp_packet p = {.payload = span_str(payload)};

	assert_int_equal(addr_parse(&p.addr, span_str("192.0.2.53:5353")), 0);
	return p;
}

/* The packet id in the header of a vector. */
static uint64_t id_of(const struct ss_packet_vector *v)
{
	uint8_t h[16];
	struct rd rd = rd_of(span_of(h + 8, 8));

	hex_read(h, 16, v->header);
	return rd_u64(&rd);
}

static struct ssudp_session *session_for(struct fixture *f)
{
	struct ssudp_head head = {
		.session = CLIENT_ID, .key = ss_chain_user(&f->chain), .user = f->users ? 1 : 0};

	return ssudp_session_new(f->server, &head, SERVER_ID);
}

static void seal_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_packet p;
		struct ssudp_session *s;
		struct fixture f;
		uint8_t out[ROOM];
		struct wr wr = wr_of(out, ROOM);
		size_t over;

		setup(&f, &ss_packet_vectors[i]);
		s = session_for(&f);
		p = packet(f.v->reply ? "udp-answer" : "udp-payload");
		over = f.v->reply ? ssudp_session_overhead(s, &p.addr, 0)
				  : ssudp_client_overhead(f.client, &p.addr, 0);
		for (uint64_t id = 0; id <= id_of(f.v); id++) {
			wr = wr_of(out, ROOM);
			if (f.v->reply)
				assert_int_equal(ssudp_session_seal(s, &wr, &p, f.nonce, SS_TIME),
						 0);
			else
				assert_int_equal(
					ssudp_client_seal(f.client, &wr, &p, f.nonce, SS_TIME), 0);
		}
		assert_int_equal(wr.n, f.wire.n);
		assert_int_equal(wr.n, p.payload.n + over);
		assert_memory_equal(out, f.wire.p, wr.n);
		ssudp_session_free(s);
		teardown(&f);
	}
}

/* What a server does with f->wire: a session on trial each time. */
static int serve(struct fixture *f, struct ssudp_packet *out, uint64_t unix_s, int64_t *skew)
{
	struct ssudp_head head;
	struct ssudp_session *s;
	int err = ssudp_head_open(f->server, &head, f->wire_b, f->wire.n);

	if (err != 0)
		return err;
	s = ssudp_session_new(f->server, &head, SERVER_ID);
	assert_non_null(s);
	err = ssudp_session_open(s, out, &head, f->wire_b, unix_s, skew);
	ssudp_session_free(s);
	return err;
}

static int receive(struct fixture *f, struct ssudp_packet *out, uint64_t unix_s, int64_t *skew)
{
	const struct ss2022_time t = {unix_s, 5};

	return f->v->reply ? ssudp_client_open(f->client, out, f->wire_b, f->wire.n, &t, skew)
			   : serve(f, out, unix_s, skew);
}

static void open_vectors(void **state)
{
	static const struct {
		uint64_t now;
		int err;
		int64_t skew;
	} v[] = {{SS_TIME, 0, 0},
		 {SS_TIME + 30, 0, -30},
		 {SS_TIME - 30, 0, 30},
		 {SS_TIME + 31, -ERR_CLOCK, -31},
		 {SS_TIME - 31, -ERR_CLOCK, 31}};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		for (size_t t = 0; t < sizeof(v) / sizeof(v[0]); t++) {
			struct ssudp_packet p,
				want = packet(ss_packet_vectors[i].reply ? "udp-answer"
									 : "udp-payload");
			struct fixture f;
			int64_t skew = 0;

			setup(&f, &ss_packet_vectors[i]);
			assert_int_equal(receive(&f, &p, v[t].now, &skew), v[t].err);
			assert_int_equal(skew, v[t].skew);
			if (v[t].err == 0) {
				assert_true(addr_eq(&p.addr, &want.addr));
				assert_true(span_eq(p.payload, want.payload));
				assert_int_equal(p.padding, 0);
			}
			teardown(&f);
		}
	}
}

static void damage_and_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct fixture f;
		uint8_t keep[ROOM];

		setup(&f, &ss_packet_vectors[i]);
		memcpy(keep, f.wire_b, ROOM);
		for (size_t bit = 0; bit < 8 * f.wire.n; bit++) {
			struct ssudp_packet p;

			f.wire_b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(receive(&f, &p, SS_TIME, NULL), -ERR_AUTH);
			memcpy(f.wire_b, keep, ROOM);
		}
		for (size_t n = 0; n < f.wire.n; n++) {
			struct span in = exact(f.wire, n);
			uint8_t *data = (uint8_t *)(uintptr_t)in.p;
			struct ssudp_packet p;
			struct ssudp_head head;
			int err = f.v->reply ? ssudp_client_open(f.client, &p, data, n, &now, NULL)
					     : ssudp_head_open(f.server, &head, data, n);

			if (err == 0) { /* the header was all there: the body is not */
				struct ssudp_session *s = ssudp_session_new(f.server, &head, 1);

				assert_int_equal(
					ssudp_session_open(s, &p, &head, data, SS_TIME, NULL),
					-ERR_AUTH);
				ssudp_session_free(s);
			} else {
				assert_true(err == -ERR_AUTH || err == -ERR_MALFORMED);
			}
			free_hex(in);
		}
		/* nothing of all this has left a trace */
		struct ssudp_packet p;

		assert_int_equal(receive(&f, &p, SS_TIME, NULL), 0);
		teardown(&f);
	}
}

/* Sends one packet from client to server; the result of opening. */
static int carry(struct fixture *f, struct ssudp_session **s, struct ssudp_packet *got,
		 const struct ssudp_packet *pkt, uint8_t room[ROOM])
{
	struct wr wr = wr_of(room, ROOM);
	struct ssudp_head head;
	int err;

	assert_int_equal(ssudp_client_seal(f->client, &wr, pkt, f->nonce, SS_TIME), 0);
	err = ssudp_head_open(f->server, &head, room, wr.n);
	if (err != 0)
		return err;
	assert_int_equal(head.session, CLIENT_ID);
	if (!*s)
		*s = ssudp_session_new(f->server, &head, SERVER_ID);
	return ssudp_session_open(*s, got, &head, room, SS_TIME, NULL);
}

static void conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_session *s = NULL;
		struct fixture f;
		uint8_t room[ROOM], copy[ROOM];

		setup(&f, &ss_packet_vectors[i]);
		for (int n = 0; n < 300; n++) {
			struct ssudp_packet p = packet("question"), a = packet("answer"), got;
			struct wr wr = wr_of(room, ROOM);

			p.padding = (uint16_t)(n * 3);
			assert_int_equal(carry(&f, &s, &got, &p, copy), 0);
			assert_true(span_eq(got.payload, p.payload));
			assert_int_equal(got.padding, p.padding);
			a.padding = (uint16_t)n;
			assert_int_equal(ssudp_session_seal(s, &wr, &a, f.nonce, SS_TIME), 0);
			memcpy(copy, room, wr.n);
			assert_int_equal(ssudp_client_open(f.client, &got, room, wr.n, &now, NULL),
					 0);
			assert_true(span_eq(got.payload, a.payload));
			assert_int_equal(ssudp_client_open(f.client, &got, copy, wr.n, &now, NULL),
					 -ERR_REPLAY);
		}
		ssudp_session_free(s);
		teardown(&f);
	}
}

static void a_packet_counts_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_session *s;
		struct ssudp_packet p;
		struct ssudp_head head;
		struct fixture f;
		uint8_t keep[ROOM];

		if (ss_packet_vectors[i].reply)
			continue;
		setup(&f, &ss_packet_vectors[i]);
		memcpy(keep, f.wire_b, ROOM);
		s = session_for(&f);
		assert_int_equal(ssudp_head_open(f.server, &head, f.wire_b, f.wire.n), 0);
		assert_int_equal(head.packet, id_of(f.v));
		assert_int_equal(head.user, f.users ? 1 : 0);
		assert_int_equal(ssudp_session_open(s, &p, &head, f.wire_b, SS_TIME + 31, NULL),
				 -ERR_CLOCK);
		for (int turn = 0; turn < 2; turn++) { /* a refused one was not marked */
			memcpy(f.wire_b, keep, ROOM);
			assert_int_equal(ssudp_head_open(f.server, &head, f.wire_b, f.wire.n), 0);
			assert_int_equal(ssudp_session_open(s, &p, &head, f.wire_b, SS_TIME, NULL),
					 turn ? -ERR_REPLAY : 0);
		}
		head.session ^= 1;
		assert_int_equal(ssudp_session_open(s, &p, &head, f.wire_b, SS_TIME, NULL),
				 -ERR_AUTH);
		head.session ^= 1;
		head.user ^= 1;
		assert_int_equal(ssudp_session_open(s, &p, &head, f.wire_b, SS_TIME, NULL),
				 -ERR_AUTH);
		ssudp_session_free(s);
		teardown(&f);
	}
}

static void replies_to_another_session(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_client *other;
		struct ssudp_packet p;
		struct fixture f;

		if (!ss_packet_vectors[i].reply)
			continue;
		setup(&f, &ss_packet_vectors[i]);
		other = ssudp_client_new(&f.chain, CLIENT_ID + 1);
		assert_int_equal(ssudp_client_open(other, &p, f.wire_b, f.wire.n, &now, NULL),
				 -ERR_AUTH);
		ssudp_client_free(other);
		teardown(&f);
	}
}

/* A server that restarts has a new session; the client follows, but not too often. */
static void server_restarts(void **state)
{
	static const struct {
		uint64_t session, mono_ms;
		int err;
	} v[] = {{1, 1000, 0},		{2, 2000, 0},		{1, 3000, 0},
		 {3, 4000, -ERR_LIMIT}, {2, 50000, 0},		{3, 62999, -ERR_LIMIT},
		 {3, 63000, 0},		{1, 63001, -ERR_LIMIT}, {2, 64000, 0}};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_session *s[4] = {NULL};
		struct fixture f;

		setup(&f, &ss_packet_vectors[i]);
		for (uint64_t id = 1; id < 4; id++) {
			struct ssudp_head head = {.session = CLIENT_ID,
						  .key = ss_chain_user(&f.chain)};

			s[id] = ssudp_session_new(f.server, &head, id);
		}
		for (size_t t = 0; t < sizeof(v) / sizeof(v[0]); t++) {
			const struct ss2022_time at = {SS_TIME, v[t].mono_ms};
			struct ssudp_packet p = packet("x"), got;
			uint8_t room[ROOM];
			struct wr wr = wr_of(room, ROOM);

			assert_int_equal(
				ssudp_session_seal(s[v[t].session], &wr, &p, f.nonce, SS_TIME), 0);
			assert_int_equal(ssudp_client_open(f.client, &got, room, wr.n, &at, NULL),
					 v[t].err);
		}
		for (uint64_t id = 1; id < 4; id++)
			ssudp_session_free(s[id]);
		teardown(&f);
	}
}

static void single_and_multi_do_not_mix(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ss_key other = {{7}};
		struct ss_users *users = NULL;
		struct ssudp_packet p;
		struct ssudp_server *own;
		struct fixture f;

		if (ss_packet_vectors[i].reply || ss_packet_vectors[i].nonce)
			continue;
		setup(&f, &ss_packet_vectors[i]);
		own = f.server;
		assert_int_equal(ss_users_new(&users, f.m, &other, 1, NULL), 0);
		f.conf.users = f.users ? NULL : users;
		f.server = ssudp_server_new(&f.conf);
		assert_int_equal(serve(&f, &p, SS_TIME, NULL), -ERR_AUTH);
		ssudp_server_free(own);
		ss_users_free(users);
		teardown(&f);
	}
}

static void refusals_of_the_encoder(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ssudp_packet p = packet("udp-payload");
		struct ssudp_session *s;
		struct fixture f;
		uint8_t out[ROOM];

		setup(&f, &ss_packet_vectors[i]);
		s = session_for(&f);
		for (size_t cap = 0; cap < ssudp_client_overhead(f.client, &p.addr, 0) + 11;
		     cap++) {
			struct wr little = wr_of(out, cap);

			assert_int_equal(ssudp_client_seal(f.client, &little, &p, f.nonce, SS_TIME),
					 -ERR_LIMIT);
		}
		for (size_t cap = 0; cap < ssudp_session_overhead(s, &p.addr, 0) + 11; cap++) {
			struct wr little = wr_of(out, cap);

			assert_int_equal(ssudp_session_seal(s, &little, &p, f.nonce, SS_TIME),
					 -ERR_LIMIT);
		}
		struct wr wr = wr_of(out, ROOM);

		p.padding = 901;
		assert_int_equal(ssudp_client_seal(f.client, &wr, &p, f.nonce, SS_TIME),
				 -ERR_LIMIT);
		p.padding = 900;
		p.addr.kind = ADDR_NONE;
		assert_int_equal(ssudp_client_seal(f.client, &wr, &p, f.nonce, SS_TIME),
				 -ERR_MALFORMED);
		ssudp_session_free(s);
		teardown(&f);
	}
	ssudp_client_free(NULL);
	ssudp_server_free(NULL);
	ssudp_session_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seal_vectors),
		cmocka_unit_test(open_vectors),
		cmocka_unit_test(damage_and_truncation),
		cmocka_unit_test(conversations),
		cmocka_unit_test(a_packet_counts_once),
		cmocka_unit_test(replies_to_another_session),
		cmocka_unit_test(server_restarts),
		cmocka_unit_test(single_and_multi_do_not_mix),
		cmocka_unit_test(refusals_of_the_encoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
