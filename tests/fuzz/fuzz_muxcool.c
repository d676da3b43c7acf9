/*
 * A stream of mux frames in both kinds of carrier, payload skipped, our extension
 * read where there is one. What was decoded encodes and decodes to the same; a
 * verdict on a prefix is final.
 */
#include <stdlib.h>

#include "proto/muxcool.h"
#include "proto/muxext.h"

static bool same(const struct muxcool_frame *a, const struct muxcool_frame *b)
{
	return a->id == b->id && a->status == b->status && a->option == b->option &&
	       a->data_len == b->data_len && a->network == b->network &&
	       a->source_network == b->source_network && a->local_network == b->local_network &&
	       a->has_global_id == b->has_global_id &&
	       memcmp(a->global_id, b->global_id, sizeof(a->global_id)) == 0 &&
	       span_eq(a->rest, b->rest) && addr_eq(&a->target, &b->target) &&
	       addr_eq(&a->source, &b->source) && addr_eq(&a->local, &b->local);
}

static bool same_extension(const struct muxext *a, const struct muxext *b)
{
	return a->has == b->has && a->capabilities == b->capabilities && a->window == b->window &&
	       a->credit == b->credit && a->refusal == b->refusal && span_eq(a->line, b->line) &&
	       a->bounce == b->bounce && ipport_eq(&a->bounced, &b->bounced);
}

static void check_extension(const struct muxcool_frame *f)
{
	struct muxext e, again;
	struct muxcool_frame g;
	uint8_t b[MUXEXT_FRAME_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (muxext_decode(&e, f) != 0)
		return;
	if (muxext_encode(&w, f->id, &e) != 0 ||
	    muxcool_frame_decode(&g, span_of(b, w.n), MUXCOOL_PLAIN) != (ssize_t)w.n ||
	    g.id != f->id || muxext_decode(&again, &g) != 0 || !same_extension(&e, &again))
		abort();
}

static void check_frame(const struct muxcool_frame *f, enum muxcool_kind kind)
{
	struct muxcool_frame again;
	uint8_t b[MUXCOOL_HEAD_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (muxcool_frame_encode(&w, f, kind) != 0 ||
	    muxcool_frame_decode(&again, span_of(b, w.n), kind) != (ssize_t)w.n || !same(f, &again))
		abort();
	check_extension(f);
}

static void check_stream(struct span in, enum muxcool_kind kind)
{
	struct muxcool_frame f;
	ssize_t n;

	while ((n = muxcool_frame_decode(&f, in, kind)) > 0) {
		if ((size_t)n > in.n || n < 2 + MUXCOOL_META_MIN)
			abort();
		check_frame(&f, kind);
		in = span_of(in.p + n, in.n - (size_t)n);
		if (f.data_len > in.n)
			return;
		in = span_of(in.p + f.data_len, in.n - f.data_len);
	}
}

static void check_prefixes(struct span in, enum muxcool_kind kind)
{
	struct muxcool_frame f;
	ssize_t n = muxcool_frame_decode(&f, in, kind);

	for (size_t i = 0; n != 0 && i < in.n && i < MUXCOOL_HEAD_MAX; i += 1 + i / 8) {
		ssize_t early = muxcool_frame_decode(&f, span_of(in.p, i), kind);

		if (early != 0 && early != n)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	for (int kind = MUXCOOL_PLAIN; kind <= MUXCOOL_REVERSE; kind++) {
		check_stream(in, kind);
		check_prefixes(in, kind);
	}
	muxcool_is_xudp(in);
	return 0;
}
