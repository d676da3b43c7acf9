#include "proxy/out_blackhole.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/core.h"
#include "flow/flow.h"
#include "flow/flowlog.h"

enum { PAGE_MS = 1000 }; /* between the page and the end, as Xray */

static const char forbidden[] = "HTTP/1.1 403 Forbidden\r\n"
				"Connection: close\r\n"
				"Cache-Control: max-age=3600, public\r\n"
				"Content-Length: 0\r\n"
				"\r\n";
/* For those who only want to know whether we are there. */
static const char no_content[] = "HTTP/1.1 204 No Content\r\n"
				 "Connection: close\r\n"
				 "\r\n";

struct out_blackhole {
	struct outbound o;
	bool http;
	struct span page;
};

/* A far side that says one page, listens to nothing and ends. */
struct pager {
	struct stream s;
	struct timer timer;
	struct span page;
	bool said, over;
};

static struct pager *of(struct stream *s)
{
	return container_of(s, struct pager, s);
}

static ssize_t pager_read(struct stream *s, struct bufq *into, size_t max)
{
	struct pager *p = of(s);

	if (!p->said && max >= p->page.n) {
		if (bufq_append(into, p->page) != 0)
			return -ERR_NOMEM;
		p->said = true;
		timer_start(&p->timer, PAGE_MS);
		return (ssize_t)p->page.n;
	}
	return p->over ? -ERR_END : 0;
}

static ssize_t pager_write(struct stream *s, struct bufq *from)
{
	ssize_t n = (ssize_t)from->len;

	(void)s;
	bufq_clear(from);
	return n;
}

static void pager_want(struct stream *s, unsigned events)
{
	struct pager *p = of(s);

	s->wanted = events;
	stream_notify(s, STREAM_WRITE | (!p->said || p->over ? (unsigned)STREAM_READ : 0u));
}

static void pager_shutdown(struct stream *s)
{
	(void)s;
}

static void pager_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

static void pager_close(struct stream *s, int err)
{
	(void)err;
	timer_stop(&of(s)->timer);
	stream_dispose(s, pager_destroy);
}

static void on_due(struct timer *t)
{
	struct pager *p = container_of(t, struct pager, timer);

	p->over = true;
	stream_notify(&p->s, STREAM_READ);
}

static const struct stream_ops pager_ops = {
	.name = "page",
	.read = pager_read,
	.write = pager_write,
	.want = pager_want,
	.shutdown = pager_shutdown,
	.close = pager_close,
};

static struct stream *pager_new(struct loop *l, struct span page)
{
	struct pager *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->page = page;
	stream_init(&p->s, &pager_ops, l);
	timer_init(&p->timer, l, on_due);
	return &p->s;
}

static void hole_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	(void)d;
	(void)to;
	buf_free(pkt);
}

static void hole_destroy(struct garbage *g)
{
	free(container_of(g, struct dgram, garbage));
}

static void hole_close(struct dgram *d, int err)
{
	(void)err;
	d->user = NULL;
	d->garbage.destroy = hole_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops hole_ops = {
	.name = "blackhole",
	.send = hole_send,
	.close = hole_close,
};

static void open_udp(struct flow *f)
{
	struct dgram *d = calloc(1, sizeof(*d));

	if (!d) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	flowlog_blocked(f);
	dgram_init(d, &hole_ops, f->loop);
	flow_connected_dgram(f, d);
}

static void blackhole_open(struct outbound *o, struct flow *f)
{
	struct out_blackhole *b = container_of(o, struct out_blackhole, o);
	struct stream *s;

	if (f->net == CONF_UDP) {
		open_udp(f);
		return;
	}
	if (!b->http) {
		flow_failed(f, -ERR_BLOCKED, NULL);
		return;
	}
	s = pager_new(f->loop, b->page);
	if (s)
		flow_connected(f, s, false);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

static void blackhole_free(struct outbound *o)
{
	free(container_of(o, struct out_blackhole, o));
}

static bool blackhole_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops blackhole_ops = {
	.protocol = "blackhole",
	.echoes = blackhole_echoes,
	.open = blackhole_open,
	.free = blackhole_free,
};

struct outbound *out_blackhole_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_blackhole *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->o = (struct outbound){.ops = &blackhole_ops, .tag = conf->tag, .core = c};
	b->http = conf->blackhole.http;
	b->page = span_str(conf->blackhole.no_content ? no_content : forbidden);
	return &b->o;
}
