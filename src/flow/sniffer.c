#include "flow/sniffer.h"

#include <stdlib.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/dispatch.h"
#include "proto/muxcool.h"
#include "proto/sniff.h"

enum {
	SNIFF_MS = 200, /* as Xray: what a server that speaks first is delayed by */
	PACKETS_MAX = SNIFF_QUIC_DATAGRAMS,
};

/* A datagram that was looked at and waits for the flow's route. */
struct seen {
	struct addr party;
	struct buf *pkt;
};

struct sniffer {
	struct flow *f;
	struct flow_opening opening;
	struct stream_user on_stream;
	struct dgram_user on_dgram;
	struct timer timer;
	struct sniff_state *quic; /* UDP only */
	struct seen seen[PACKETS_MAX];
	unsigned n_seen;
	struct garbage garbage;
};

/* ---- HTTP attributes ---- */

struct sniff_attrs {
	struct span method, path, headers;
	uint8_t bytes[];
};

struct sniff_attrs *sniff_attrs_new(struct span method, struct span path, struct span headers)
{
	struct sniff_attrs *a = malloc(sizeof(*a) + method.n + path.n + headers.n);
	struct wr w;

	if (!a)
		return NULL;
	w = wr_of(a->bytes, method.n + path.n + headers.n);
	a->method = span_of(a->bytes, method.n);
	wr_bytes(&w, method.p, method.n);
	a->path = span_of(a->bytes + w.n, path.n);
	wr_bytes(&w, path.p, path.n);
	a->headers = span_of(a->bytes + w.n, headers.n);
	wr_bytes(&w, headers.p, headers.n);
	return a;
}

void sniff_attrs_free(struct sniff_attrs *a)
{
	free(a);
}

struct span sniff_attr(void *ctx, const char *name)
{
	const struct sniff_attrs *a = ctx;
	struct span rest = a->headers, key, value;

	if (strcmp(name, ":method") == 0)
		return a->method;
	if (strcmp(name, ":path") == 0)
		return a->path;
	while (sniff_header_next(&rest, &key, &value))
		if (key.n == strlen(name) && strncasecmp((const char *)key.p, name, key.n) == 0)
			return value;
	return span_of(NULL, 0);
}

/* ---- what a finding means for the flow ---- */

static unsigned override_bit(enum sniff_proto p)
{
	switch (p) {
	case SNIFF_HTTP1:
		return CONF_SNIFF_HTTP;
	case SNIFF_TLS:
		return CONF_SNIFF_TLS;
	case SNIFF_QUIC:
		return CONF_SNIFF_QUIC;
	default:
		return 0;
	}
}

/* A name that makes a flow a registration or a carrier: nobody gets there by claiming it. */
static bool is_reserved(const struct flow *f, const char *name)
{
	const struct conf_reverse *r = &f->core->conf->reverse;

	for (size_t i = 0; i < r->n_portals; i++)
		if (strcasecmp(r->portals[i].domain, name) == 0)
			return true;
	return strcasecmp(name, MUXCOOL_NAME) == 0;
}

static void apply_name(struct flow *f, const char *name)
{
	if (is_reserved(f, name)) {
		log_line(LOG_WARN, f->id, "sniff",
			 "a client claims to talk to '%s', the name of a portal: not believed", name);
		return;
	}
	if (core_sniff_excluded(f->core, f->sniff, name, &f->target))
		return;
	free(f->seen_name);
	f->seen_name = NULL;
	if (f->sniff->route_only)
		f->seen_name = strdup(name);
	else
		addr_set_host(&f->target, span_str(name), f->target.port);
}

static void apply(struct flow *f, const struct sniff_result *r)
{
	f->protocol = sniff_proto_name(r->proto);
	if (r->proto == SNIFF_HTTP1) {
		sniff_attrs_free(f->attrs); /* of an earlier look: an HTTP inbound, a loopback */
		f->attrs = sniff_attrs_new(r->method, r->path, r->headers);
	}
	if (*r->domain && (f->sniff->override & override_bit(r->proto)))
		apply_name(f, r->domain);
}

/* ---- waiting ---- */

static void sniffer_destroy(struct garbage *g)
{
	struct sniffer *s = container_of(g, struct sniffer, garbage);

	free(s->quic);
	free(s);
}

static void sniffer_free(struct sniffer *s)
{
	timer_stop(&s->timer);
	s->garbage.destroy = sniffer_destroy;
	loop_free_later(s->f->loop, &s->garbage);
}

static void finish(struct sniffer *s, const struct sniff_result *r)
{
	struct flow *f = s->f;

	f->opening = NULL;
	if (r)
		apply(f, r);
	if (f->in)
		stream_want(f->in, 0);
	if (f->in_dgram) { /* the packets wait there for the next user */
		f->in_dgram->user = NULL;
		for (unsigned i = 0; i < s->n_seen; i++)
			dgram_deliver(f->in_dgram, &s->seen[i].party, s->seen[i].pkt);
	}
	sniffer_free(s);
	dispatch_route(f);
}

static void on_bytes(struct stream_user *u, struct stream *st, unsigned events)
{
	struct sniffer *s = container_of(u, struct sniffer, on_stream);
	struct flow *f = s->f;
	size_t room = f->early.len < SNIFF_STREAM_MAX ? SNIFF_STREAM_MAX - f->early.len : 0;
	ssize_t n = room ? stream_read(st, &f->early, room) : 0;
	enum sniff_verdict v;
	struct sniff_result r;

	(void)events;
	if (n == 0 && room)
		return;
	v = sniff_stream(&r, bufq_pullup(&f->early, SNIFF_STREAM_MAX));
	/* What ended the stream shows again to whoever reads it next. */
	if (v != SNIFF_MORE || n < 0 || !room)
		finish(s, r.proto == SNIFF_UNKNOWN ? NULL : &r);
}

static void on_datagram(struct dgram_user *u, struct dgram *d, const struct addr *party,
			struct buf *pkt)
{
	struct sniffer *s = container_of(u, struct sniffer, on_dgram);
	enum sniff_verdict v;
	struct sniff_result r;

	(void)d;
	v = sniff_datagram(s->quic, &r, buf_span(pkt));
	s->seen[s->n_seen++] = (struct seen){*party, pkt};
	if (v != SNIFF_MORE || s->n_seen == PACKETS_MAX)
		finish(s, r.proto == SNIFF_UNKNOWN ? NULL : &r);
}

static void on_datagram_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct sniffer *s = container_of(u, struct sniffer, on_dgram);
	struct flow *f = s->f;

	(void)d;
	f->opening->cancel(f->opening);
	flow_failed(f, err, NULL);
}

static void on_late(struct timer *t)
{
	finish(container_of(t, struct sniffer, timer), NULL);
}

static void on_cancel(struct flow_opening *o)
{
	struct sniffer *s = container_of(o, struct sniffer, opening);

	if (s->f->in)
		stream_want(s->f->in, 0);
	if (s->f->in_dgram)
		s->f->in_dgram->user = NULL;
	for (unsigned i = 0; i < s->n_seen; i++)
		buf_free(s->seen[i].pkt);
	sniffer_free(s);
}

static void start_stream(struct sniffer *s)
{
	struct flow *f = s->f;

	s->on_stream.on_event = on_bytes;
	stream_attach(f->in, &s->on_stream);
	stream_want(f->in, STREAM_READ);
	if (!bufq_empty(&f->early)) /* an HTTP proxy's request was read before */
		stream_notify(f->in, STREAM_READ);
}

bool sniffer_start(struct flow *f)
{
	struct sniffer *s;

	if (f->sniff->metadata_only || (!f->in && !f->in_dgram))
		return false;
	s = calloc(1, sizeof(*s));
	if (s && f->in_dgram)
		s->quic = calloc(1, sizeof(*s->quic));
	if (!s || (f->in_dgram && !s->quic)) {
		free(s);
		return false;
	}
	s->f = f;
	f->state = FLOW_SNIFFING;
	s->opening.cancel = on_cancel;
	f->opening = &s->opening;
	timer_init(&s->timer, f->loop, on_late);
	timer_start(&s->timer, SNIFF_MS);
	if (f->in) {
		start_stream(s);
	} else {
		s->on_dgram = (struct dgram_user){on_datagram, on_datagram_end, NULL};
		dgram_attach(f->in_dgram, &s->on_dgram);
	}
	return true;
}
