#include "proxy/out_dns.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/renewal.h"
#include "proto/dnsmsg.h"
#include "proxy/dns_desk.h"
#include "proxy/pkt.h"

enum {
	STREAM_ANSWER_MAX = 4096, /* of an answer of our own: more addresses than a name has */
	READY_BOUND = 65536,	  /* answers that a slow client leaves waiting */
};

struct out_dns {
	struct outbound o;
	struct dns_rules *rules;
	struct dns_zone *zone; /* NULL: none */
	struct dns_desk_conf desk;
};

/* ---- datagrams ---- */

struct dns_dgram {
	struct dgram d;
	struct dns_desk desk;
	struct dns_desk_user on_desk;
};

static void dgram_answer(struct dns_desk_user *u, const struct addr *party, struct buf *msg)
{
	dgram_deliver(&container_of(u, struct dns_dgram, on_desk)->d, party, msg);
}

static void dgram_query(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	dns_desk_ask(&container_of(d, struct dns_dgram, d)->desk, to, pkt);
}

static void dgram_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct dgram, garbage), struct dns_dgram, d));
}

static void dgram_done(struct dgram *d, int err)
{
	(void)err;
	dns_desk_fini(&container_of(d, struct dns_dgram, d)->desk);
	d->garbage.destroy = dgram_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops dns_dgram_ops = {
	.name = "DNS",
	.send = dgram_query,
	.close = dgram_done,
};

/* ---- a stream of messages with their lengths in front ---- */

struct dns_stream {
	struct stream s;
	struct dns_desk desk;
	struct dns_desk_user on_desk;
	struct bufq in;	   /* the beginning of a query */
	struct bufq ready; /* answers */
	bool eof;	   /* the client has finished asking */
};

static struct dns_stream *of(struct stream *s)
{
	return container_of(s, struct dns_stream, s);
}

static bool over(const struct dns_stream *x)
{
	return x->eof && bufq_empty(&x->ready) && dns_desk_open(&x->desk) == 0;
}

static bool has_room(const struct dns_stream *x)
{
	return x->ready.len < READY_BOUND && dns_desk_open(&x->desk) < DNS_DESK_OPEN;
}

static void announce(struct dns_stream *x)
{
	stream_notify(&x->s, (!bufq_empty(&x->ready) || over(x) ? STREAM_READ : 0u) |
				     (has_room(x) ? STREAM_WRITE : 0u));
}

static void stream_answer(struct dns_desk_user *u, const struct addr *party, struct buf *msg)
{
	struct dns_stream *x = container_of(u, struct dns_stream, on_desk);
	uint8_t prefix[2] = {(uint8_t)(msg->len >> 8), (uint8_t)msg->len};

	(void)party;
	msg = pkt_prepend(msg, span_of(prefix, 2));
	if (msg)
		bufq_push(&x->ready, msg);
	announce(x);
}

/* Asks every whole query as long as answers have room. */
static void ask_all(struct dns_stream *x)
{
	static const struct addr target;
	uint8_t prefix[2];

	while (has_room(x) && bufq_peek(&x->in, prefix, 2) == 2) {
		size_t n = (size_t)(prefix[0] << 8 | prefix[1]);
		struct buf *b;

		if (x->in.len < 2 + n)
			return;
		bufq_drop(&x->in, 2);
		b = buf_copy(bufq_pullup(&x->in, n));
		bufq_drop(&x->in, n);
		if (b)
			dns_desk_ask(&x->desk, &target, b);
	}
}

static ssize_t dns_read(struct stream *s, struct bufq *into, size_t max)
{
	struct dns_stream *x = of(s);
	size_t n = bufq_move(into, &x->ready, max);

	ask_all(x); /* there may be room for more now */
	if (n == 0 && over(x))
		return -ERR_EOF;
	announce(x);
	return (ssize_t)n;
}

static ssize_t dns_write(struct stream *s, struct bufq *from)
{
	struct dns_stream *x = of(s);
	size_t n = 0;

	ask_all(x);
	if (has_room(x))
		n = bufq_move(&x->in, from, from->len);
	ask_all(x);
	return (ssize_t)n;
}

static void dns_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	announce(of(s));
}

static void dns_shutdown(struct stream *s)
{
	struct dns_stream *x = of(s);

	ask_all(x);
	x->eof = true;
	announce(x);
}

static void stream_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

static void dns_close(struct stream *s, int err)
{
	struct dns_stream *x = of(s);

	(void)err;
	dns_desk_fini(&x->desk);
	bufq_clear(&x->in);
	bufq_clear(&x->ready);
	stream_dispose(s, stream_destroy);
}

static const struct stream_ops dns_stream_ops = {
	.name = "DNS",
	.read = dns_read,
	.write = dns_write,
	.want = dns_want,
	.shutdown = dns_shutdown,
	.close = dns_close,
};

/* ---- the outbound ---- */

static void open_udp(struct out_dns *o, struct flow *f)
{
	struct dns_dgram *x = calloc(1, sizeof(*x));

	if (!x) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	dgram_init(&x->d, &dns_dgram_ops, f->loop);
	x->on_desk.on_answer = dgram_answer;
	dns_desk_init(&x->desk, &o->desk, f, DNSMSG_UDP_MAX, &x->on_desk);
	flow_connected_dgram(f, &x->d);
}

static void open_tcp(struct out_dns *o, struct flow *f)
{
	struct dns_stream *x = calloc(1, sizeof(*x));

	if (!x) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	stream_init(&x->s, &dns_stream_ops, f->loop);
	x->on_desk.on_answer = stream_answer;
	dns_desk_init(&x->desk, &o->desk, f, STREAM_ANSWER_MAX, &x->on_desk);
	flow_connected(f, &x->s, true);
}

static void dns_open(struct outbound *ob, struct flow *f)
{
	struct out_dns *o = container_of(ob, struct out_dns, o);

	if (f->net == CONF_UDP)
		open_udp(o, f);
	else
		open_tcp(o, f);
}

static void dns_free(struct outbound *ob)
{
	struct out_dns *o = container_of(ob, struct out_dns, o);

	dialer_free(o->desk.dialer);
	dns_rules_free(o->rules);
	dns_zone_free(o->zone);
	free(o);
}

static void report_line(void *ctx, enum route_level level, const struct conf_at *at,
			const char *text)
{
	(void)ctx;
	log_line(level == ROUTE_ERROR ? LOG_ERROR : LOG_WARN, 0, "dns", "%s:%d: %s: %s", at->file,
		 at->line, at->path, text);
}

/* A zone in @out if @conf has any. */
static bool make_zone(const struct conf_out_dns *conf, struct lists *lists, struct dns_zone **out)
{
	struct route_report report = {.msg = report_line};

	if (conf->zones.n == 0)
		return true;
	*out = dns_zone_new(conf, lists, &report);
	return *out != NULL;
}

struct dns_renewal {
	struct renewal r;
	struct out_dns *o;
	struct dns_zone *zone;
};

static void renewal_apply(struct renewal *r)
{
	struct dns_renewal *n = container_of(r, struct dns_renewal, r);
	struct dns_zone *old = n->o->zone;

	n->o->desk.zone = n->zone;
	n->o->zone = n->zone;
	n->zone = old;
}

static void renewal_free(struct renewal *r)
{
	struct dns_renewal *n = container_of(r, struct dns_renewal, r);

	dns_zone_free(n->zone);
	free(n);
}

static struct renewal *dns_renewal(struct outbound *o, const struct conf_outbound *next)
{
	struct dns_renewal *n = calloc(1, sizeof(*n));
	struct lists *lists = lists_new();
	bool made = false;

	if (n && lists) {
		n->r = (struct renewal){.apply = renewal_apply, .free = renewal_free};
		n->o = container_of(o, struct out_dns, o);
		made = make_zone(&next->dns, lists, &n->zone);
	}
	lists_free(lists);
	if (made)
		return &n->r;
	free(n);
	return NULL;
}

static const struct outbound_ops dns_ops = {
	.protocol = "dns",
	.open = dns_open,
	.renewal = dns_renewal,
	.free = dns_free,
};

struct outbound *out_dns_new(struct core *c, const struct conf_outbound *conf)
{
	struct route_report report = {.msg = report_line};
	struct out_dns *o = calloc(1, sizeof(*o));
	struct lists *lists = lists_new();
	bool zone;

	if (o && lists) {
		o->o = (struct outbound){.ops = &dns_ops, .tag = conf->tag, .core = c};
		o->rules = dns_rules_new(conf->dns.rules, conf->dns.n_rules, lists, &report);
		zone = make_zone(&conf->dns, lists, &o->zone);
		o->desk = (struct dns_desk_conf){&o->o, conf, o->rules, o->zone, NULL};
		if (o->rules && zone)
			o->desk.dialer = dialer_new(c, conf);
	}
	lists_free(lists);
	if (o && o->desk.dialer)
		return &o->o;
	if (o)
		dns_free(&o->o);
	return NULL;
}
