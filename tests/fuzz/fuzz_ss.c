/*
 * Shadowsocks streams. The first byte chooses a method, the second what the rest
 * is: raw bytes for a decoder, or plaintext that is sealed with the right key
 * first, so that the parsers behind the cipher are reached.
 */
#include <stdlib.h>

#include "base/err.h"
#include "proto/netaddr.h"
#include "proto/ss2022.h"
#include "proto/ssaead.h"

enum { NOW = 1700000000, ROOM = 70000 };

static const struct ss_key key = {{1, 2, 3, 4}};
static const uint8_t salt[SS_SALT_MAX] = {5, 6, 7};
static const struct ss2022_time now = {NOW, 0};
static uint8_t room[ROOM], second[ROOM];

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What a server accepted must come out again when it is sealed anew. */
static void same_again(const struct ss_method *m, const struct ss2022_request *req)
{
	struct ss_chain chain = {.method = m, .key = {key}, .n = 1};
	struct ss2022_server s = {.method = m, .key = key};
	struct wr wr = wr_of(second, ROOM);
	size_t head_len = ss2022_head_len(&s);
	struct ss2022_request again;
	struct ss2022_head head;
	struct ss_writer w;
	struct ss_reader r;

	if (req->padding > SS2022_PADDING_MAX)
		return;
	must(ss2022_request_seal(&wr, &w, &chain, salt, req, NOW) == 0);
	must(wr.n == ss2022_request_len(&chain, req));
	must(ss2022_head_open(&head, &r, &s, span_of(second, head_len), &now, NULL, NULL) == 0);
	must(ss2022_request_open(&again, &r, second + head_len, head.rest) == 0);
	must(addr_eq(&again.target, &req->target) && again.padding == req->padding);
	must(span_eq(again.payload, req->payload));
	ss_writer_fini(&w);
	ss_reader_fini(&r);
}

/* Two items of plaintext as a request of a peer that has the key. */
static void request_plain(const struct ss_method *m, struct span fixed, struct span variable)
{
	struct ss2022_server s = {.method = m, .key = key};
	struct wr wr = wr_of(room, ROOM);
	struct ss2022_request req;
	struct ss2022_head head;
	struct ss_writer w;
	struct ss_reader r;
	size_t n = ss2022_head_len(&s);

	must(ss_writer_init(&w, m, &key, salt) == 0);
	wr_bytes(&wr, salt, m->key_len);
	must(ss_writer_item(&w, &wr, &fixed, 1) == 0);
	must(ss_writer_item(&w, &wr, &variable, 1) == 0);
	if (wr.n >= n && ss2022_head_open(&head, &r, &s, span_of(room, n), &now, NULL, NULL) == 0 &&
	    head.rest == wr.n - n && ss2022_request_open(&req, &r, room + n, head.rest) == 0)
		same_again(m, &req);
	if (wr.n >= n)
		ss_reader_fini(&r);
	ss_writer_fini(&w);
}

static void response_plain(const struct ss_method *m, struct span plain)
{
	struct ss_chain chain = {.method = m, .key = {key}, .n = 1};
	struct wr wr = wr_of(room, ROOM);
	struct ss_writer w;
	struct ss_reader r;
	int64_t skew;

	must(ss_writer_init(&w, m, &key, salt) == 0);
	wr_bytes(&wr, salt, m->key_len);
	must(ss_writer_item(&w, &wr, &plain, 1) == 0);
	if (ss2022_response_open(&r, &chain, salt, span_of(room, wr.n), NOW, &skew) == 0)
		must(ss_reader_need(&r) <= SS_ITEM_MAX && skew >= -30 && skew <= 30);
	ss_reader_fini(&r);
	ss_writer_fini(&w);
}

/* Bytes as a peer without the key sends them: to every decoder of heads. */
static void raw(const struct ss_method *m, struct span in)
{
	struct ss_chain chain = {.method = m, .key = {key}, .n = 1};
	struct ss2022_server s = {.method = m, .key = key};
	struct ssaead_user user = {m, key};
	struct ss_users *users = NULL;
	struct ss2022_head head;
	struct ss_reader r;
	size_t found;

	if (m->kind == SS_CLASSIC) {
		must(ssaead_head_open(&r, &found, &user, 1, in, NULL, 0) < 0);
		ss_reader_fini(&r);
		return;
	}
	must(ss2022_response_open(&r, &chain, salt, in, NOW, NULL) < 0);
	ss_reader_fini(&r);
	must(ss2022_head_open(&head, &r, &s, in, &now, NULL, NULL) < 0);
	ss_reader_fini(&r);
	if (!m->identity)
		return;
	must(ss_users_new(&users, m, &key, 1, NULL) == 0);
	s.users = users;
	must(ss2022_head_open(&head, &r, &s, in, &now, NULL, NULL) < 0);
	ss_reader_fini(&r);
	ss_users_free(users);
}

/* Cuts @in at lengths that its own bytes give, writes, cuts again, reads. */
static void through_queues(const struct ss_method *m, struct span in)
{
	struct bufq q, wire, cut, out;
	struct ss_writer w;
	struct ss_reader r;
	struct rd rd = rd_of(in);

	bufq_init(&q);
	bufq_init(&wire);
	bufq_init(&cut);
	bufq_init(&out);
	must(ss_writer_init(&w, m, &key, salt) == 0 && ss_reader_init(&r, m, &key, salt) == 0);
	while (rd.n > 0) {
		size_t n = (size_t)rd.p[0] * 20 + 1;

		bufq_push(&q, buf_copy(rd_take(&rd, n < rd.n ? n : rd.n)));
		if (n % 3 == 0)
			must(ss_writer_push(&w, &q, &wire, n) >= 0);
	}
	must(ss_writer_push(&w, &q, &wire, SIZE_MAX) >= 0 && q.len == 0);
	while (wire.len > 0) {
		bufq_move(&cut, &wire, 1 + (in.p[wire.len % in.n] & 63) * 40);
		must(ss_reader_pull(&r, &cut, &out, 1 + in.p[wire.len % in.n]) >= 0);
	}
	while (ss_reader_pull(&r, &cut, &out, SIZE_MAX) > 0)
		;
	must(out.len == in.n && cut.len == 0 && ss_reader_may_end(&r));
	must(bufq_peek(&out, room, in.n) == in.n && span_eq(span_of(room, in.n), in));
	bufq_clear(&out);
	ss_writer_fini(&w);
	ss_reader_fini(&r);
}

/* A chunk whose length is a lie, or whose bytes are damaged, somewhere in a stream. */
static void damaged(const struct ss_method *m, struct span in)
{
	struct wr wr = wr_of(room, ROOM);
	struct span be = span_of(in.p, 2), data = span_of(in.p + 2, in.n - 2);
	struct bufq q, out;
	struct ss_writer w;
	struct ss_reader r;
	size_t at;

	bufq_init(&q);
	bufq_init(&out);
	must(ss_writer_init(&w, m, &key, salt) == 0 && ss_reader_init(&r, m, &key, salt) == 0);
	must(ss_writer_seal(&w, &wr, data) == (ssize_t)data.n);
	must(ss_writer_item(&w, &wr, &be, 1) == 0 && ss_writer_item(&w, &wr, &data, 1) == 0);
	at = ((size_t)in.p[0] << 8 | in.p[1]) % (2 * wr.n);
	if (at < wr.n)
		room[at] ^= 1;
	must(bufq_append(&q, span_of(room, wr.n)) == 0);
	while (ss_reader_pull(&r, &q, &out, 100) > 0)
		;
	must(out.len <= 2 * data.n);
	bufq_clear(&q);
	bufq_clear(&out);
	ss_writer_fini(&w);
	ss_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ss_method *m;
	struct span in;

	if (size < 5 || size > 30000)
		return 0;
	m = ss_method_at(data[0] % 7);
	in = span_of(data + 2, size - 2);
	switch (data[1] % 5) {
	case 0:
		raw(m, in);
		break;
	case 1:
		if (m->kind == SS_2022 && in.n >= 11)
			request_plain(m, span_of(in.p, 11), span_of(in.p + 11, in.n - 11));
		break;
	case 2:
		if (m->kind == SS_2022)
			response_plain(m, in);
		break;
	case 3:
		through_queues(m, in);
		break;
	default:
		damaged(m, in);
		break;
	}
	must(buf_live() == 0);
	return 0;
}
