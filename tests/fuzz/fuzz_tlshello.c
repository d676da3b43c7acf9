/*
 * Both hellos, and the message in front of records. What a decoder accepts it
 * accepts again whatever follows, its spans lie in its input, and records change
 * nothing about the message in them.
 */
#include <stdlib.h>

#include "../unit/hello.h"
#include "proto/tlshello.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void inside(struct span part, struct span all)
{
	must(part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

static void check_client(struct span in)
{
	struct tlshello_client h;
	struct span s;
	ssize_t n = tlshello_client_decode(&h, in);

	must(n <= (ssize_t)in.n);
	if (n <= 0)
		return;
	must(h.message.n == (size_t)n && h.random.n == TLS_RANDOM_LEN && h.session_id.n <= 32);
	inside(h.extensions, h.message);
	inside(h.suites, h.message);
	if (tlshello_sni(&h, &s) == 0)
		inside(s, h.extensions);
	if (tlshello_share(&h, TLS_GROUP_X25519, &s))
		inside(s, h.extensions);
	inside(tlshello_alpn(&h), h.extensions);
	tlshello_offers_13(&h);
	must(tlshello_client_decode(&h, h.message) == n);
	must(tlshello_client_decode(&h, span_of(in.p, (size_t)n - 1)) == 0);
}

static void check_server(struct span in)
{
	struct tlshello_server h;
	ssize_t n = tlshello_server_decode(&h, in);

	must(n <= (ssize_t)in.n);
	if (n <= 0)
		return;
	must(h.message.n == (size_t)n && h.random.n == TLS_RANDOM_LEN);
	must(!h.retry || h.share.n == 0);
	inside(h.share, h.message);
	must(tlshello_server_decode(&h, span_of(in.p, (size_t)n - 1)) == 0);
}

static void check_join(struct span in, size_t each)
{
	static uint8_t records[65536], message[4096];
	struct wr w = wr_of(records, sizeof(records)), out = wr_of(message, sizeof(message));
	struct tlshello_client a, b;
	ssize_t n = tlshello_client_decode(&a, in);
	size_t behind;

	tlshello_join(&out, in, &behind);
	must(out.n <= sizeof(message));
	if (n <= 0 || in.n > sizeof(message))
		return;
	hello_records(&w, in, each);
	out = wr_of(message, sizeof(message));
	must(tlshello_join(&out, span_of(records, w.n), &behind) > 0);
	must(span_eq(span_of(message, out.n), a.message));
	must(tlshello_client_decode(&b, span_of(message, out.n)) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in;

	if (size < 1 || size > 10000)
		return 0;
	in = span_of(data + 1, size - 1);
	check_client(in);
	check_server(in);
	check_join(in, (size_t)data[0] + 1);
	return 0;
}
