#include "net/stream_rate.h"

#include <stdlib.h>

#include "base/err.h"

enum {
	MS_PER_S = 1000,
	PAUSES_PER_S = 10, /* who has run dry reads again when a tenth of a second's is there */
};

/* Above this nothing is limited, and no product overflows. */
#define RATE_MAX ((uint64_t)1 << 40)

struct stream_rate {
	struct stream s;
	struct stream_user on_below;
	struct stream *below;
	uint64_t free;	   /* bytes that still pass for nothing */
	uint64_t rate;	   /* bytes per second */
	uint64_t room;	   /* of the bucket, in thousandths of a byte */
	uint64_t credit;   /* in it, likewise */
	uint64_t since_ms; /* when it was looked at last */
	struct timer refill;
};

static struct stream_rate *of(struct stream *s)
{
	return container_of(s, struct stream_rate, s);
}

static void set_below(struct stream_rate *r)
{
	unsigned want = r->s.wanted;

	if (timer_on(&r->refill))
		want &= ~(unsigned)STREAM_READ;
	stream_want(r->below, want);
}

static void on_refill(struct timer *t)
{
	set_below(container_of(t, struct stream_rate, refill));
}

/* Bytes that may be read now. */
static uint64_t allowance(struct stream_rate *r)
{
	uint64_t now = loop_now(r->s.loop), elapsed = now - r->since_ms;

	r->since_ms = now;
	if (elapsed >= r->room / r->rate)
		r->credit = r->room;
	else
		r->credit += elapsed * r->rate;
	if (r->credit > r->room)
		r->credit = r->room;
	return r->free + r->credit / MS_PER_S;
}

static void spend(struct stream_rate *r, uint64_t n)
{
	uint64_t given = n < r->free ? n : r->free;

	r->free -= given;
	r->credit -= (n - given) * MS_PER_S;
}

static void pause_reading(struct stream_rate *r)
{
	uint64_t need = r->rate / PAUSES_PER_S;

	need = (need ? need : 1) * MS_PER_S;
	timer_start(&r->refill, (need - r->credit) / r->rate + 1);
	set_below(r);
}

static ssize_t rate_read(struct stream *s, struct bufq *into, size_t max)
{
	struct stream_rate *r = of(s);
	uint64_t may;
	ssize_t n;

	if (timer_on(&r->refill))
		return 0;
	may = allowance(r);
	if (may == 0) {
		pause_reading(r);
		return 0;
	}
	n = stream_read(r->below, into, may < max ? (size_t)may : max);
	if (n > 0)
		spend(r, (uint64_t)n);
	return n;
}

static ssize_t rate_write(struct stream *s, struct bufq *from)
{
	return stream_write(of(s)->below, from);
}

static void rate_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	set_below(of(s));
}

static void rate_shutdown(struct stream *s)
{
	stream_shutdown(of(s)->below);
}

static void rate_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct stream_rate, s));
}

static void rate_close(struct stream *s, int err)
{
	struct stream_rate *r = of(s);

	timer_stop(&r->refill);
	stream_want(r->below, 0);
	stream_attach(r->below, NULL);
	stream_close(r->below, err);
	stream_dispose(s, rate_destroy);
}

static bool rate_can_half_close(struct stream *s)
{
	return stream_can_half_close(of(s)->below);
}

static const char *rate_why(struct stream *s)
{
	return stream_why(of(s)->below);
}

static const struct stream_ops rate_ops = {
	.name = "rate",
	.read = rate_read,
	.write = rate_write,
	.want = rate_want,
	.shutdown = rate_shutdown,
	.close = rate_close,
	.why = rate_why,
	.can_half_close = rate_can_half_close,
};

static void on_below_event(struct stream_user *u, struct stream *below, unsigned events)
{
	(void)below;
	stream_deliver(&container_of(u, struct stream_rate, on_below)->s, events);
}

struct stream *stream_rate_new(struct stream *below, const struct conf_fallback_rate *limit)
{
	uint64_t burst = limit->burst_bytes < RATE_MAX ? limit->burst_bytes : RATE_MAX;
	struct stream_rate *r;

	if (limit->bytes_per_s == 0)
		return below;
	r = calloc(1, sizeof(*r));
	if (!r) {
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&r->s, &rate_ops, below->loop);
	r->below = below;
	r->free = limit->after_bytes;
	r->rate = limit->bytes_per_s < RATE_MAX ? limit->bytes_per_s : RATE_MAX;
	r->room = r->credit = (burst > r->rate ? burst : r->rate) * MS_PER_S;
	r->since_ms = loop_now(below->loop);
	timer_init(&r->refill, below->loop, on_refill);
	r->on_below.on_event = on_below_event;
	stream_attach(below, &r->on_below);
	stream_want(below, 0);
	return &r->s;
}
