/*
 * Any bytes as every message of SOCKS: what was decoded encodes and decodes to the
 * same, and a verdict on a prefix is final.
 */
#include <stdlib.h>

#include "proto/socks.h"

static void check_request(ssize_t (*decode)(struct socks_request *, struct span), struct span in)
{
	struct socks_request q, again;
	ssize_t n = decode(&q, in);
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (n > (ssize_t)in.n)
		abort();
	for (size_t i = 0; n != 0 && i < in.n && i < 300; i += 1 + i / 8) {
		ssize_t early = decode(&again, span_of(in.p, i));

		if (early != 0 && early != n)
			abort();
	}
	if (n <= 0)
		return;
	if (socks5_request_encode(&w, &q) != 0 ||
	    socks5_request_decode(&again, span_of(b, w.n)) != (ssize_t)w.n ||
	    again.command != q.command || !addr_eq(&again.target, &q.target))
		abort();
}

static void check_reply(struct span in)
{
	struct socks5_reply p, again;
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (socks5_reply_decode(&p, in) <= 0)
		return;
	if (socks5_reply_encode(&w, &p) != 0 || socks5_reply_decode(&again, span_of(b, w.n)) <= 0 ||
	    again.code != p.code || (p.bound.kind != ADDR_NONE && !addr_eq(&again.bound, &p.bound)))
		abort();
}

static void check_dialogue(struct span in)
{
	struct socks5_greeting g;
	struct socks5_login l;
	uint8_t b[SOCKS5_LOGIN_MAX], m;
	struct wr w = wr_of(b, sizeof(b));
	ssize_t n = socks5_greeting_decode(&g, in);
	bool welcome;

	if (n > 0 &&
	    (socks5_greeting_encode(&w, &g) != 0 || w.n != (size_t)n || memcmp(b, in.p, w.n) != 0))
		abort();
	n = socks5_login_decode(&l, in);
	w = wr_of(b, sizeof(b));
	if (n > 0 && (socks5_login_encode(&w, &l) != 0 || w.n != (size_t)n ||
		      memcmp(b + 1, in.p + 1, w.n - 1) != 0))
		abort();
	socks5_method_decode(&m, in);
	socks5_verdict_decode(&welcome, in);
}

static void check_datagram(struct span in)
{
	struct addr a, again;
	ssize_t n = socks5_datagram_decode(&a, in);
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (n == 0 || n > (ssize_t)in.n)
		abort();
	if (n < 0)
		return;
	if (socks5_datagram_encode(&w, &a) != 0 ||
	    socks5_datagram_decode(&again, span_of(b, w.n)) != (ssize_t)w.n || !addr_eq(&a, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	check_request(socks5_request_decode, in);
	check_request(socks4_request_decode, in);
	check_reply(in);
	check_dialogue(in);
	check_datagram(in);
	return 0;
}
