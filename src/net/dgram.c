#include "net/dgram.h"

#include <stdlib.h>

/* Packets in front of a user who is not there yet, and then until the loop has handed them up. */
struct dgram_wait {
	struct dgram *d;
	struct defer hand_up;
	size_t first, n; /* of the entries in @v that are left */
	size_t bytes;
	int ended; /* -ERR_*: to be told after the packets */
	struct {
		struct addr from;
		struct buf *pkt;
	} v[DGRAM_WAIT_MAX];
};

void dgram_forget(struct dgram *d)
{
	struct dgram_wait *w = d->wait;

	if (!w)
		return;
	d->wait = NULL;
	defer_cancel(&w->hand_up);
	while (w->first < w->n)
		buf_free(w->v[w->first++].pkt);
	free(w);
}

/* At any packet the user may close the carrier, which frees @w, or leave it. */
static void on_hand_up(struct defer *df)
{
	struct dgram_wait *w = container_of(df, struct dgram_wait, hand_up);
	struct dgram *d = w->d;

	while (d->wait == w && d->user && w->first < w->n) {
		size_t i = w->first++;

		w->bytes -= w->v[i].pkt->len;
		d->user->on_packet(d->user, d, &w->v[i].from, w->v[i].pkt);
	}
	if (d->wait != w || w->first < w->n || (w->ended && !d->user))
		return;
	int ended = w->ended;

	dgram_forget(d);
	if (ended)
		d->user->on_end(d->user, d, ended);
}

void dgram_attach(struct dgram *d, struct dgram_user *u)
{
	d->user = u;
	if (d->wait && u)
		defer_ask(&d->wait->hand_up);
}

static struct dgram_wait *wait_new(struct dgram *d)
{
	struct dgram_wait *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	w->d = d;
	w->first = w->n = w->bytes = 0;
	w->ended = 0;
	defer_init(&w->hand_up, d->loop, on_hand_up);
	return w;
}

void dgram_deliver(struct dgram *d, const struct addr *from, struct buf *pkt)
{
	struct dgram_wait *w = d->wait;

	if (d->user && !w) {
		d->user->on_packet(d->user, d, from, pkt);
		return;
	}
	if (!w)
		w = d->wait = wait_new(d);
	if (!w || w->n == DGRAM_WAIT_MAX || pkt->len > DGRAM_WAIT_BYTES - w->bytes) {
		buf_free(pkt);
		return;
	}
	w->v[w->n].from = *from;
	w->v[w->n++].pkt = pkt;
	w->bytes += pkt->len;
}

void dgram_ended(struct dgram *d, int err)
{
	if (d->user && !d->wait) {
		d->user->on_end(d->user, d, err);
		return;
	}
	if (!d->wait)
		d->wait = wait_new(d);
	if (d->wait)
		d->wait->ended = err;
}
