/*
 * The first byte chooses. Even: a peer's bytes, read at once and in pieces, give
 * the same content, and an unknown command is the only fault. Odd: writes of an
 * application, cut by lengths that the input holds, come out of the reader as
 * they went in, whatever the filter makes of them.
 */
#include <stdlib.h>

#include "base/err.h"
#include "proto/vision.h"

static const struct uuid id = {"vision fuzz id!"};

/* A growing copy of content. */
struct heap {
	uint8_t *p;
	size_t n;
};

static void heap_add(struct heap *h, struct span s)
{
	h->p = realloc(h->p, h->n + s.n + 1);
	if (!h->p)
		abort();
	if (s.n)
		memcpy(h->p + h->n, s.p, s.n);
	h->n += s.n;
}

/* As a stream would: pieces of @step, what is not consumed is shown again. */
static ssize_t read_pieces(struct vision_rx *r, struct span in, size_t step, struct heap *out)
{
	size_t from = 0, to = 0;

	while (to < in.n) {
		to += step < in.n - to ? step : in.n - to;
		while (from < to) {
			struct span s = span_of(in.p + from, to - from);
			bool content;
			ssize_t n = vision_rx_step(r, s, &content);

			if (n > (ssize_t)s.n || (n < 0 && n != -ERR_MALFORMED))
				abort();
			if (n < 0)
				return n;
			if (n == 0 && s.n >= VISION_FIRST_LEN)
				abort();
			if (n == 0)
				break;
			if (content)
				heap_add(out, span_of(s.p, (size_t)n));
			from += (size_t)n;
		}
	}
	return (ssize_t)from;
}

static void check_reading(struct span in)
{
	struct vision_rx a, b;
	struct heap x = {0}, y = {0};
	ssize_t n, m;

	vision_rx_init(&a, &id);
	vision_rx_init(&b, &id);
	n = read_pieces(&a, in, in.n ? in.n : 1, &x);
	m = read_pieces(&b, in, 3, &y);
	if ((n < 0) != (m < 0) || a.state != b.state ||
	    (n >= 0 && !span_eq(span_of(x.p, x.n), span_of(y.p, y.n))))
		abort();
	free(x.p);
	free(y.p);
}

/* Blocks of @plan on the wire, content from @write. */
static void put_plan(struct heap *wire, struct vision_tx *t, const struct vision_plan *plan,
		     struct span write)
{
	static const uint8_t zeros[VISION_BLOCK_MAX];
	size_t at = 0;

	for (size_t i = 0; i < plan->n; i++) {
		const struct vision_block *b = &plan->block[i];
		uint8_t head[VISION_FIRST_LEN];
		struct wr w = wr_of(head, sizeof(head));

		if (vision_head_encode(&w, t, &id, b) != 0 ||
		    w.n + b->content + b->padding > VISION_BLOCK_MAX || at + b->content > write.n)
			abort();
		heap_add(wire, span_of(head, w.n));
		heap_add(wire, span_of(write.p + at, b->content));
		heap_add(wire, span_of(zeros, b->padding));
		at += b->content;
	}
	if (at != plan->taken || (t->state == VISION_TX_PADDING && at != write.n))
		abort();
	heap_add(wire, span_of(write.p + at, write.n - at));
}

static void check_writing(struct span in)
{
	static struct vision_plan plan;
	static uint32_t draws[VISION_BLOCKS_MAX];
	struct vision_filter f;
	struct vision_tx t = {0};
	struct vision_rx r;
	struct heap wire = {0}, said = {0}, got = {0};
	uint32_t seed[4];
	struct rd rd = rd_of(in);

	vision_filter_init(&f);
	for (int i = 0; i < 4; i++)
		seed[i] = rd_u16(&rd);
	for (size_t i = 0; i < VISION_BLOCKS_MAX; i++)
		draws[i] = (uint32_t)(i * 2654435761u);
	if (rd_u8(&rd) & 1)
		vision_filter_blind(&f);
	while (rd.n > 2) {
		size_t n = rd_u16(&rd);
		struct span s = rd_take(&rd, n < rd.n ? n : rd.n);

		if (n & 0x8000) { /* from the peer */
			vision_filter_see(&f, s);
			continue;
		}
		heap_add(&said, s);
		if (t.state == VISION_TX_PADDING) {
			vision_filter_see(&f, s);
			vision_plan_write(&plan, &t, &f, &s, 1, seed, draws);
			put_plan(&wire, &t, &plan, s);
		} else {
			heap_add(&wire, s);
		}
	}
	vision_rx_init(&r, &id);
	if (read_pieces(&r, span_of(wire.p, wire.n), 1021, &got) < 0 ||
	    !span_eq(span_of(said.p, said.n), span_of(got.p, got.n)))
		abort();
	free(wire.p);
	free(said.p);
	free(got.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		check_writing(span_of(data + 1, size - 1));
	else
		check_reading(span_of(data + 1, size - 1));
	return 0;
}
