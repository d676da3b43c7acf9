/* The forms of joining: vectors, truncation at every byte, what no version writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/err.h"
#include "codec.h"
#include "proto/joinmsg.h"

/* ---- tokens ---- */

static struct jointoken sample(void)
{
	static const uint8_t v4[4] = {192, 0, 2, 7};
	struct jointoken t = {.node = "paris", .n_hubs = 3};
	struct ip ip = ip_v4(v4);

	for (size_t i = 0; i < sizeof(t.secret); i++)
		t.secret[i] = (uint8_t)i;
	t.hubs[0].security = JOINTOKEN_REALITY;
	addr_set_host(&t.hubs[0].address, span_str("hub.example.org"), 443);
	memset(t.hubs[0].account.b, 0xa1, UUID_LEN);
	memcpy(t.hubs[0].server_name, "www.example.com", 16);
	memset(t.hubs[0].public_key, 0xb2, JOINTOKEN_KEY);
	memset(t.hubs[0].short_id, 0xc3, JOINTOKEN_SHORT_ID);
	t.hubs[1].security = JOINTOKEN_TLS;
	t.hubs[1].address = addr_from_ip(&ip, 8443);
	memcpy(t.hubs[1].server_name, "192.0.2.7", 10);
	t.hubs[1].pinned = true;
	memset(t.hubs[1].pin, 0xd4, JOINTOKEN_PIN);
	t.hubs[2].security = JOINTOKEN_CLEAR;
	t.hubs[2].address = addr_from_ip(&ip, 80);
	return t;
}

static const char one_hub[] =
	"0040"
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	"01 70"
	"01"
	"01 01bb 02 05 682e746c64"
	"000102030405060708090a0b0c0d0e0f"
	"01 61 00";

static void a_token_goes_round(void **state)
{
	struct jointoken t = sample(), back;
	char text[JOINTOKEN_TEXT_MAX];
	enum jointoken_fault fault;
	ssize_t n = jointoken_text(text, &t);
	size_t at;

	(void)state;
	assert_int_equal(n, strlen(text));
	memset(&back, 0x5a, sizeof(back));
	assert_int_equal(jointoken_parse(&back, span_str(text), &fault, &at), 0);
	assert_memory_equal(back.secret, t.secret, sizeof(t.secret));
	assert_string_equal(back.node, "paris");
	assert_int_equal(back.n_hubs, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(back.hubs[i].security, t.hubs[i].security);
		assert_true(addr_eq(&back.hubs[i].address, &t.hubs[i].address));
		assert_memory_equal(&back.hubs[i].account, &t.hubs[i].account, UUID_LEN);
		assert_string_equal(back.hubs[i].server_name, t.hubs[i].server_name);
		assert_memory_equal(back.hubs[i].public_key, t.hubs[i].public_key, JOINTOKEN_KEY);
		assert_memory_equal(back.hubs[i].short_id, t.hubs[i].short_id, JOINTOKEN_SHORT_ID);
		assert_int_equal(back.hubs[i].pinned, t.hubs[i].pinned);
		assert_memory_equal(back.hubs[i].pin, t.hubs[i].pin, JOINTOKEN_PIN);
	}
}

static void a_token_is_what_the_header_says(void **state)
{
	struct jointoken t = {.node = "p", .n_hubs = 1};
	uint8_t room[256];
	struct wr w = wr_of(room, sizeof(room));
	struct span want = hex(one_hub);

	(void)state;
	for (size_t i = 0; i < sizeof(t.secret); i++)
		t.secret[i] = (uint8_t)i;
	t.hubs[0].security = JOINTOKEN_TLS;
	addr_set_host(&t.hubs[0].address, span_str("h.tld"), 443);
	for (size_t i = 0; i < UUID_LEN; i++)
		t.hubs[0].account.b[i] = (uint8_t)i;
	t.hubs[0].server_name[0] = 'a';
	assert_int_equal(jointoken_encode(&w, &t), 0);
	assert_int_equal(w.n, want.n + 4);
	assert_memory_equal(room, want.p, want.n);
	free_hex(want);
	for (size_t n = 0; n < w.n; n++) {
		struct wr small = wr_of(room, n);

		assert_int_equal(jointoken_encode(&small, &t), -ERR_LIMIT);
	}
}

static void a_token_that_is_cut_is_not_one(void **state)
{
	struct jointoken t = sample(), out, before;
	uint8_t room[JOINTOKEN_MAX];
	struct wr w = wr_of(room, sizeof(room));

	(void)state;
	assert_int_equal(jointoken_encode(&w, &t), 0);
	memset(&before, 0x5a, sizeof(before));
	out = before;
	for (size_t n = 0; n < w.n; n++) {
		struct span cut = exact(span_of(room, w.n), n);

		assert_int_equal(jointoken_decode(&out, cut), 0);
		free_hex(cut);
	}
	for (size_t n = 0; n < w.n; n++) {
		room[n] ^= 1;
		assert_true(jointoken_decode(&out, span_of(room, w.n)) <= 0);
		room[n] ^= 1;
	}
	assert_memory_equal(&out, &before, sizeof(out));
}

static enum jointoken_fault fault_of(const char *text, size_t *at)
{
	enum jointoken_fault fault;
	struct jointoken out;
	int err = jointoken_parse(&out, span_str(text), &fault, at);

	assert_int_equal(err, fault == JOINTOKEN_GOOD ? 0 : -ERR_MALFORMED);
	return fault;
}

static void a_line_is_told_what_is_wrong(void **state)
{
	struct jointoken t = sample();
	char text[JOINTOKEN_TEXT_MAX], copy[JOINTOKEN_TEXT_MAX + 16];
	size_t n = (size_t)jointoken_text(text, &t), at;

	(void)state;
	for (size_t i = 1; i < n; i++) {
		snprintf(copy, sizeof(copy), "%.*s", (int)i, text);
		assert_int_equal(fault_of(copy, &at), JOINTOKEN_SHORT);
	}
	snprintf(copy, sizeof(copy), " %.40s\n\t%s \r\n", text, text + 40);
	assert_int_equal(fault_of(copy, &at), JOINTOKEN_GOOD);
	snprintf(copy, sizeof(copy), "%sAAAA", text);
	assert_int_equal(fault_of(copy, &at), JOINTOKEN_LONG);
	memcpy(copy, text, n + 1);
	copy[50] = copy[50] == 'A' ? 'B' : 'A';
	assert_int_equal(fault_of(copy, &at), JOINTOKEN_CHECKSUM);
	copy[50] = '+';
	assert_int_equal(fault_of(copy, &at), JOINTOKEN_CHARACTER);
	assert_int_equal(at, 50);
	memcpy(copy, text, n + 1);
	copy[strlen("garenne-join-")] = '2';
	assert_int_equal(fault_of(copy, &at), JOINTOKEN_VERSION);
	assert_int_equal(fault_of("vless://some", &at), JOINTOKEN_FOREIGN);
	assert_int_equal(fault_of("", &at), JOINTOKEN_FOREIGN);
}

static void what_cannot_be_said(void **state)
{
	static const char *const bad[] = {"", "-a", "a-", "Paris", "a/b", "..", "a_b"};
	struct jointoken t = sample();
	char text[JOINTOKEN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(t.node, bad[i], strlen(bad[i]) + 1);
		assert_int_equal(jointoken_text(text, &t), -ERR_MALFORMED);
	}
	t = sample();
	t.n_hubs = 0;
	assert_int_equal(jointoken_text(text, &t), -ERR_MALFORMED);
	t = sample();
	t.hubs[0].server_name[0] = 0;
	assert_int_equal(jointoken_text(text, &t), -ERR_MALFORMED);
	t = sample();
	t.hubs[2].address.port = 0;
	assert_int_equal(jointoken_text(text, &t), -ERR_MALFORMED);
}

/* ---- tickets and marks ---- */

static const char ticket_wire[] = "474a5401 0000000065000000 05 7061726973 00000012"
				  "000102030405060708090a0b0c0d0e0f1011";
static const char mark_wire[] =
	"474a4d01 0000000065000000 0000000065000e10 04 c0000207 000000000000000000000000"
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 05 7061726973";

static void tickets(void **state)
{
	struct span whole = hex(ticket_wire);
	struct jointicket t, before;
	uint8_t room[64];
	struct wr w = wr_of(room, sizeof(room));

	(void)state;
	assert_int_equal(jointicket_decode(&t, whole), whole.n);
	assert_int_equal(t.expires_s, 0x65000000);
	assert_string_equal(t.node, "paris");
	assert_int_equal(t.sealed.n, 18);
	assert_int_equal(jointicket_encode(&w, &t), 0);
	assert_bytes(w, ticket_wire);
	before = t;
	for (size_t n = 0; n < whole.n; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(jointicket_decode(&t, cut), 0);
		free_hex(cut);
		w = wr_of(room, n);
		assert_int_equal(jointicket_encode(&w, &before), -ERR_LIMIT);
	}
	assert_memory_equal(&t, &before, sizeof(t));
	free_hex(whole);
}

static ssize_t decode_ticket(const char *wire)
{
	struct span in = hex(wire);
	struct jointicket t;
	ssize_t ret = jointicket_decode(&t, in);

	free_hex(in);
	return ret;
}

static void strange_tickets(void **state)
{
	(void)state;
	assert_int_equal(decode_ticket("47"), 0);
	assert_int_equal(decode_ticket("48"), -ERR_MALFORMED);
	assert_int_equal(decode_ticket("474a5402"), -ERR_UNSUPPORTED);
	assert_int_equal(decode_ticket("474a5401 0000000065000000 00"), -ERR_MALFORMED);
	assert_int_equal(decode_ticket("474a5401 0000000065000000 03 612f62 00000010"),
			 -ERR_MALFORMED); /* a/b */
	assert_int_equal(decode_ticket("474a5401 0000000065000000 01 61 0000000f"), -ERR_MALFORMED);
	assert_int_equal(decode_ticket("474a5401 0000000065000000 01 61 00100001"), -ERR_MALFORMED);
}

static void marks(void **state)
{
	struct span whole = hex(mark_wire);
	struct joinmark m, before;
	uint8_t room[JOINMARK_MAX];
	struct wr w = wr_of(room, sizeof(room));
	char text[64];

	(void)state;
	assert_int_equal(joinmark_decode(&m, whole), whole.n);
	assert_string_equal(m.node, "paris");
	assert_int_equal(m.when_s, 0x65000000);
	assert_int_equal(m.expires_s, 0x65000e10);
	assert_string_equal(ip_text(&m.from, text, sizeof(text)), "192.0.2.7");
	assert_int_equal(joinmark_encode(&w, &m), 0);
	assert_bytes(w, mark_wire);
	before = m;
	for (size_t n = 0; n < whole.n; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(joinmark_decode(&m, cut), 0);
		free_hex(cut);
	}
	assert_memory_equal(&m, &before, sizeof(m));
	memset(&m.from, 0, sizeof(m.from));
	w = wr_of(room, sizeof(room));
	assert_int_equal(joinmark_encode(&w, &m), 0);
	assert_int_equal(joinmark_decode(&m, span_of(room, w.n)), w.n);
	room[25] = 1; /* an address of no family */
	assert_int_equal(joinmark_decode(&m, span_of(room, w.n)), -ERR_MALFORMED);
	free_hex(whole);
}

/* Independent: RFC 5869 and RFC 8439 written down in Python. */
static void what_a_secret_becomes(void **state)
{
	struct jointoken t = sample();
	uint8_t id[JOINTICKET_ID], sealed[5 + JOINTICKET_TAG], back[5];
	char text[JOINTICKET_ID_TEXT];

	(void)state;
	assert_int_equal(jointicket_id(id, t.secret), 0);
	assert_string_equal(jointicket_id_text(id, text), "554adabeec7a8db5caa779ebcbc7db31");
	assert_int_equal(jointicket_seal(sealed, t.secret, "paris", span_str("hello")), 0);
	assert_bytes(span_of(sealed, sizeof(sealed)), "71ac9cc813599d5c72e52fb47d84fa113c0bc80e48");
	assert_int_equal(jointicket_open(back, t.secret, "paris", span_of(sealed, sizeof(sealed))), 0);
	assert_memory_equal(back, "hello", 5);
	assert_int_equal(jointicket_open(back, t.secret, "berlin", span_of(sealed, sizeof(sealed))),
			 -ERR_AUTH);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x10;
		assert_int_equal(jointicket_open(back, t.secret, "paris",
						 span_of(sealed, sizeof(sealed))), -ERR_AUTH);
		sealed[i] ^= 0x10;
	}
	t.secret[31] ^= 1;
	assert_int_equal(jointicket_open(back, t.secret, "paris", span_of(sealed, sizeof(sealed))),
			 -ERR_AUTH);
}

/* ---- messages ---- */

static const char request_wire[] =
	"474a5201 02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char served_wire[] = "474a4101 01 0000000000000000 00 00000000000000000000000000000000"
				  "00000010 000102030405060708090a0b0c0d0e0f";
static const char used_wire[] = "474a4101 03 0000000065000000 06 20010db8000000000000000000000001"
				"00000000";

static void requests(void **state)
{
	struct span whole = hex(request_wire);
	uint8_t room[JOINMSG_REQUEST_LEN];
	struct wr w = wr_of(room, sizeof(room));
	struct joinmsg_request q, before;

	(void)state;
	assert_int_equal(joinmsg_request_decode(&q, whole), JOINMSG_REQUEST_LEN);
	assert_int_equal(q.verb, JOINMSG_SPEND);
	assert_int_equal(q.id[1], 0xa1);
	assert_int_equal(q.claim[31], 0x1f);
	assert_int_equal(joinmsg_request_encode(&w, &q), 0);
	assert_bytes(w, request_wire);
	before = q;
	for (size_t n = 0; n < whole.n; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(joinmsg_request_decode(&q, cut), 0);
		free_hex(cut);
		w = wr_of(room, n);
		assert_int_equal(joinmsg_request_encode(&w, &before), -ERR_LIMIT);
	}
	assert_memory_equal(&q, &before, sizeof(q));
	free_hex(whole);
	assert_int_equal(joinmsg_request_decode(&q, span_str("GET / HTTP/1.1")), -ERR_MALFORMED);
	assert_int_equal(joinmsg_request_decode(&q, span_str("X")), -ERR_MALFORMED);
	assert_int_equal(joinmsg_request_decode(&q, span_str("GJR\x02")), -ERR_UNSUPPORTED);
	assert_int_equal(joinmsg_request_decode(&q, span_str("GJR\x01\x03")), -ERR_UNSUPPORTED);
}

static void answer_goes_round(const char *wire)
{
	struct span whole = hex(wire);
	uint8_t room[128];
	struct wr w = wr_of(room, sizeof(room));
	struct joinmsg_answer a, before;

	assert_int_equal(joinmsg_answer_decode(&a, whole), whole.n);
	assert_int_equal(joinmsg_answer_encode(&w, &a), 0);
	assert_int_equal(w.n, JOINMSG_ANSWER_HEAD);
	wr_bytes(&w, a.sealed.p, a.sealed.n);
	assert_bytes(w, wire);
	before = a;
	for (size_t n = 0; n < whole.n; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(joinmsg_answer_decode(&a, cut), 0);
		free_hex(cut);
	}
	assert_memory_equal(&a, &before, sizeof(a));
	free_hex(whole);
}

static ssize_t decode_answer(const char *wire)
{
	struct span in = hex(wire);
	struct joinmsg_answer a;
	ssize_t ret = joinmsg_answer_decode(&a, in);

	free_hex(in);
	return ret;
}

static void answers(void **state)
{
	(void)state;
	answer_goes_round(served_wire);
	answer_goes_round(used_wire);
	/* a time that means nothing, bytes that are none, a status of a later version */
	assert_int_equal(decode_answer("474a4101 02 0000000000000001 00 00000000000000000000000000000000"
				       "00000000"), -ERR_MALFORMED);
	assert_int_equal(decode_answer("474a4101 01 0000000000000000 00 00000000000000000000000000000000"
				       "0000000f"), -ERR_MALFORMED);
	assert_int_equal(decode_answer("474a4101 04 0000000000000001 00 00000000000000000000000000000000"
				       "00000010"), -ERR_MALFORMED);
	assert_int_equal(decode_answer("474a4101 07 0000000000000000 00 00000000000000000000000000000000"
				       "00000000"), -ERR_UNSUPPORTED);
	assert_int_equal(decode_answer("474a4101 01 0000000000000000 00 00000000000000000000000000000000"
				       "00100001"), -ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_goes_round),
		cmocka_unit_test(a_token_is_what_the_header_says),
		cmocka_unit_test(a_token_that_is_cut_is_not_one),
		cmocka_unit_test(a_line_is_told_what_is_wrong),
		cmocka_unit_test(what_cannot_be_said),
		cmocka_unit_test(tickets),
		cmocka_unit_test(strange_tickets),
		cmocka_unit_test(marks),
		cmocka_unit_test(what_a_secret_becomes),
		cmocka_unit_test(requests),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
