#include "proxy/out_join.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "flow/core.h"
#include "flow/flow.h"
#include "proxy/ticketbox.h"

enum { REQUEST_MS = 10000 }; /* for all of the request to come */

struct out_join {
	struct outbound o;
	const char *folder;
};

/* The far side of a flow: hears a request, says an answer, ends. */
struct desk {
	struct stream s;
	struct timer timer;
	const char *folder;
	struct ip from;
	uint64_t flow;
	struct bufq in, out;
	bool over; /* nothing more will be said than what is in @out */
};

static struct desk *of(struct stream *s)
{
	return container_of(s, struct desk, s);
}

static void announce(struct desk *d)
{
	stream_notify(&d->s, (unsigned)STREAM_WRITE | (d->over ? (unsigned)STREAM_READ : 0u));
}

/* ---- one request ---- */

static void tell(const struct desk *d, const struct joinmsg_request *q,
		 const struct ticketbox_reply *r)
{
	char id[JOINTICKET_ID_TEXT], from[64];
	static const char *const words[] = {
		[JOINMSG_SERVED] = "served to", [JOINMSG_SPENT] = "done with, says",
		[JOINMSG_USED] = "used before, refused to", [JOINMSG_EXPIRED] = "expired, refused to",
		[JOINMSG_UNKNOWN] = "unknown, asked for by", [JOINMSG_TROUBLE] = "refused to"};

	jointicket_id_text(q->id, id);
	ip_text(&d->from, from, sizeof(from));
	if (r->trouble)
		log_line(LOG_ERROR, d->flow, "join", "ticket %.8s in %s: %s%s%s; %s %s", id,
			 d->folder, r->trouble, r->error ? ": " : "",
			 r->error ? strerror(r->error) : "", words[r->answer.status], from);
	else
		log_line(r->answer.status == JOINMSG_USED ? LOG_WARN : LOG_INFO, d->flow, "join",
			 "ticket %.8s%s%s %s %s%s", id, *r->node ? " of " : "", r->node,
			 words[r->answer.status], from, r->again ? ", who came first" : "");
}

static void answer(struct desk *d, const struct joinmsg_request *q)
{
	uint8_t head[JOINMSG_ANSWER_HEAD];
	struct wr w = wr_of(head, sizeof(head));
	struct ticketbox_reply r;

	ticketbox_ask(d->folder, q, (uint64_t)time(NULL), &d->from, &r);
	tell(d, q, &r);
	if (joinmsg_answer_encode(&w, &r.answer) != 0 ||
	    bufq_append(&d->out, span_of(head, w.n)) != 0 ||
	    bufq_append(&d->out, r.answer.sealed) != 0)
		bufq_clear(&d->out);
	ticketbox_reply_fini(&r);
}

static void hear(struct desk *d)
{
	uint8_t wire[JOINMSG_REQUEST_LEN];
	struct joinmsg_request q;
	size_t n = bufq_peek(&d->in, wire, sizeof(wire));
	ssize_t used = joinmsg_request_decode(&q, span_of(wire, n));

	if (used == 0)
		return;
	if (used > 0)
		answer(d, &q);
	else
		log_line(LOG_INFO, d->flow, "join", "not a request that we understand");
	secret_wipe(&q, sizeof(q));
	secret_wipe(wire, sizeof(wire));
	bufq_clear(&d->in);
	timer_stop(&d->timer);
	d->over = true;
}

/* ---- the stream ---- */

static ssize_t desk_read(struct stream *s, struct bufq *into, size_t max)
{
	struct desk *d = of(s);
	size_t n = bufq_move(into, &d->out, max);

	return n == 0 && d->over ? -ERR_END : (ssize_t)n;
}

static ssize_t desk_write(struct stream *s, struct bufq *from)
{
	struct desk *d = of(s);
	size_t n = from->len;

	if (!d->over) {
		bufq_move(&d->in, from, JOINMSG_REQUEST_LEN - d->in.len);
		hear(d);
	}
	bufq_clear(from);
	announce(d);
	return (ssize_t)n;
}

static void desk_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	announce(of(s));
}

/* No more will come: a part of a request is none. */
static void desk_shutdown(struct stream *s)
{
	struct desk *d = of(s);

	d->over = true;
	announce(d);
}

static void desk_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

static void desk_close(struct stream *s, int err)
{
	struct desk *d = of(s);

	(void)err;
	timer_stop(&d->timer);
	bufq_clear(&d->in);
	bufq_clear(&d->out);
	stream_dispose(s, desk_destroy);
}

static void on_late(struct timer *t)
{
	desk_shutdown(&container_of(t, struct desk, timer)->s);
}

static const struct stream_ops desk_ops = {
	.name = "join",
	.read = desk_read,
	.write = desk_write,
	.want = desk_want,
	.shutdown = desk_shutdown,
	.close = desk_close,
};

/* ---- the outbound ---- */

static void join_open(struct outbound *ob, struct flow *f)
{
	struct out_join *o = container_of(ob, struct out_join, o);
	struct desk *d;

	if (f->net != CONF_TCP) {
		flow_failed(f, -ERR_BLOCKED, NULL);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	stream_init(&d->s, &desk_ops, f->loop);
	d->folder = o->folder;
	d->from = f->source.ip;
	d->flow = f->id;
	timer_init(&d->timer, f->loop, on_late);
	timer_start(&d->timer, REQUEST_MS);
	flow_connected(f, &d->s, true);
}

static void join_free(struct outbound *ob)
{
	free(container_of(ob, struct out_join, o));
}

static const struct outbound_ops join_ops = {
	.protocol = "join",
	.open = join_open,
	.free = join_free,
};

struct outbound *out_join_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_join *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->o = (struct outbound){.ops = &join_ops, .tag = conf->tag, .core = c};
	o->folder = conf->join.tickets;
	return &o->o;
}
