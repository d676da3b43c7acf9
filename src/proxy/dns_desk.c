#include "proxy/dns_desk.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/via.h"
#include "net/dgram_udp.h"
#include "proto/dnsmsg.h"
#include "proxy/pkt.h"

/* A resolver does not say how long its answer holds when that is from the hosts file. */
enum { TTL_UNKNOWN_S = 60, TTL_MAX_S = 600 };

struct dns_question {
	struct list node;
	struct dns_desk *d;
	struct resolve_req req;
	struct dnsmsg_query query;
	struct addr party;
};

static void answer(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *q,
		   const struct dnsmsg_answer *a)
{
	struct buf *b = buf_new(d->answer_max);
	struct wr w;

	if (!b)
		return;
	w = wr_of(b->data, d->answer_max);
	if (dnsmsg_answer_encode(&w, q, a) != 0) {
		buf_free(b);
		return;
	}
	b->len = (uint32_t)w.n;
	d->user->on_answer(d->user, party, b);
}

/* ---- the built-in resolver ---- */

static void question_free(struct dns_question *q)
{
	list_del(&q->node);
	q->d->n_open--;
	free(q);
}

/* Both families were asked for, the wanted one first: so a name without addresses of this family
 * can be told from a name that does not exist. */
static void on_resolved(struct resolve_req *req, const struct resolve_result *res)
{
	struct dns_question *q = container_of(req, struct dns_question, req);
	uint8_t family = q->query.type == DNSMSG_A ? 4 : 6;
	struct dnsmsg_answer a = {
		.rcode = res->err == 0 ? DNSMSG_NOERROR :
			 res->none     ? DNSMSG_NXDOMAIN :
					 DNSMSG_SERVFAIL,
		.ttl = res->ttl == 0 ? TTL_UNKNOWN_S : res->ttl < TTL_MAX_S ? res->ttl : TTL_MAX_S,
	};
	struct ip ips[RESOLVE_MAX];
	struct dnsmsg_query query = q->query;
	struct addr party = q->party;
	struct dns_desk *d = q->d;

	for (unsigned i = 0; i < res->n; i++)
		if (res->ip[i].family == family)
			ips[a.n++] = res->ip[i];
	a.ips = ips;
	question_free(q);
	answer(d, &party, &query, &a);
}

static void hijack(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *query)
{
	struct dns_question *q = d->n_open < DNS_DESK_OPEN ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return;
	q->d = d;
	q->query = *query;
	q->party = *party;
	q->req.on_done = on_resolved;
	list_add_tail(&d->asked, &q->node);
	d->n_open++;
	resolve_start(core_resolver(d->conf->o->core, d->loop), &q->req, query->name,
		      query->type == DNSMSG_A ? CONF_FORCE_IP46 : CONF_FORCE_IP64, 0);
}

/* A name that the host table gives an address to is the name of that address. Entries for more than
 * one name (domain:, keyword: ...) are not. */
static const char *name_of(const struct conf_dns *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		const struct conf_dns_host *h = &c->hosts[i];
		const char *colon = strchr(h->rule, ':');

		if (colon && strncmp(h->rule, "full:", 5) != 0)
			continue;
		for (size_t v = 0; v < h->values.n; v++) {
			struct ip at;

			if (ip_parse(&at, span_str(h->values.v[v])) == 0 && ip_eq(&at, ip))
				return colon ? colon + 1 : h->rule;
		}
	}
	return NULL;
}

/* @name NULL: the empty answer. */
static void answer_ptr(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *q,
		       const char *name)
{
	struct buf *b = name ? buf_new(d->answer_max) : NULL;
	struct dnsmsg_answer none = {0};
	struct wr w;

	if (!b) {
		answer(d, party, q, &none);
		return;
	}
	w = wr_of(b->data, d->answer_max);
	if (dnsmsg_ptr_encode(&w, q, name, TTL_UNKNOWN_S) != 0) {
		buf_free(b);
		answer(d, party, q, &none);
		return;
	}
	b->len = (uint32_t)w.n;
	d->user->on_answer(d->user, party, b);
}

static void answer_known_ptr(struct dns_desk *d, const struct addr *party,
			     const struct dnsmsg_query *q)
{
	const struct core *core = d->conf->o->core;
	struct ip ip;

	answer_ptr(d, party, q,
		   dnsmsg_arpa_decode(&ip, q->name) ? name_of(&core->conf->dns, &ip) : NULL);
}

/* ---- forwarding ---- */

static struct addr upstream(const struct dns_desk *d, const struct addr *party)
{
	const struct addr *r = &d->conf->conf->dns.rewrite;
	struct addr to = party->kind == ADDR_NONE ? d->f->target : *party;

	if (r->kind != ADDR_NONE) {
		uint16_t port = to.port;

		to = *r;
		to.port = port;
	}
	if (r->port)
		to.port = r->port;
	return to;
}

static void settle(struct dns_desk *d, struct dns_sent *s)
{
	free(s->query);
	s->query = NULL;
	d->n_open--;
}

/* Remembers a query; the oldest one is forgotten for it when there are too many. */
static void remember(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *q)
{
	struct dns_sent *s = &d->sent[d->next];
	struct dnsmsg_query *copy = malloc(sizeof(*copy));

	if (!copy)
		return;
	d->next = (d->next + 1) % DNS_DESK_OPEN;
	if (s->query)
		settle(d, s);
	d->n_open++;
	*copy = *q;
	s->query = copy;
	s->party = *party;
	s->due_ms = loop_now(d->loop) + DNS_DESK_PATIENCE_MS;
	if (!timer_on(&d->patience))
		timer_start(&d->patience, DNS_DESK_PATIENCE_MS);
}

/* No server answers what was asked before @due_ms. */
static void give_up(struct dns_desk *d, uint64_t due_ms)
{
	const struct dnsmsg_answer sorry = {.rcode = DNSMSG_SERVFAIL};

	for (unsigned i = 0; i < DNS_DESK_OPEN; i++) {
		struct dns_sent *s = &d->sent[i];
		struct dnsmsg_query *q = s->query;
		struct addr party = s->party;

		if (!q || s->due_ms > due_ms)
			continue;
		s->query = NULL;
		d->n_open--;
		answer(d, &party, q, &sorry);
		free(q);
	}
}

static void on_patience(struct timer *t)
{
	struct dns_desk *d = container_of(t, struct dns_desk, patience);
	uint64_t now = loop_now(d->loop), next = UINT64_MAX;

	give_up(d, now);
	for (unsigned i = 0; i < DNS_DESK_OPEN; i++)
		if (d->sent[i].query && d->sent[i].due_ms < next)
			next = d->sent[i].due_ms;
	if (next != UINT64_MAX)
		timer_start(t, next > now ? next - now : 1);
}

/* Takes @msg. */
static void from_outside(struct dns_desk *d, struct buf *msg)
{
	uint16_t id = msg->len >= DNSMSG_HEAD ? (uint16_t)(msg->data[0] << 8 | msg->data[1]) : 0;

	for (unsigned i = 0; msg->len >= DNSMSG_HEAD && i < DNS_DESK_OPEN; i++) {
		struct dns_sent *s = &d->sent[i];

		if (!s->query || s->query->id != id)
			continue;
		settle(d, s);
		d->user->on_answer(d->user, &s->party, msg);
		return;
	}
	buf_free(msg);
}

static void on_packet(struct dgram_user *u, struct dgram *udp, const struct addr *from,
		      struct buf *pkt)
{
	(void)udp;
	(void)from;
	from_outside(container_of(u, struct dns_desk, on_udp), pkt);
}

static void on_udp_end(struct dgram_user *u, struct dgram *udp, int err)
{
	struct dns_desk *d = container_of(u, struct dns_desk, on_udp);

	d->udp = NULL;
	dgram_close(udp, err);
	give_up(d, UINT64_MAX);
}

/* There is no server: the port is closed, or a router says so. */
static void on_bounce(struct dgram_user *u, struct dgram *udp, const struct addr *to, int err)
{
	(void)udp;
	(void)to;
	(void)err;
	give_up(container_of(u, struct dns_desk, on_udp), UINT64_MAX);
}

/* Takes @msg. */
static void forward_udp(struct dns_desk *d, const struct addr *to, struct buf *msg)
{
	struct dgram_udp_spec spec = {
		.opts = &d->conf->conf->stream.sockopt,
		.local = via_address(&d->conf->conf->via, d->f),
		.strategy = d->conf->conf->stream.sockopt.strategy,
	};
	char why[NET_WHY_MAX];

	if (!d->udp) {
		d->udp = dgram_udp_new(d->loop, core_resolver(d->conf->o->core, d->loop), &spec, why);
		if (!d->udp) {
			log_line(LOG_WARN, d->f->id, "dns", "%s", why);
			buf_free(msg);
			give_up(d, UINT64_MAX);
			return;
		}
		d->on_udp = (struct dgram_user){on_packet, on_udp_end, on_bounce};
		dgram_attach(d->udp, &d->on_udp);
	}
	dgram_send(d->udp, to, msg);
}

/* The next query dials again. */
static void drop_up(struct dns_desk *d, int err)
{
	stream_close(d->up, err);
	d->up = NULL;
	bufq_clear(&d->in);
	bufq_clear(&d->out);
}

static int push_out(struct dns_desk *d)
{
	ssize_t n = bufq_empty(&d->out) ? 0 : stream_write(d->up, &d->out);

	if (n >= 0)
		stream_want(d->up, STREAM_READ | (bufq_empty(&d->out) ? 0u : (unsigned)STREAM_WRITE));
	return n < 0 ? (int)n : 0;
}

/* Hands out every whole answer. */
static void pull_answers(struct dns_desk *d)
{
	uint8_t prefix[2];

	while (d->up && bufq_peek(&d->in, prefix, 2) == 2) {
		size_t n = (size_t)(prefix[0] << 8 | prefix[1]);
		struct buf *b;

		if (d->in.len < 2 + n)
			return;
		bufq_drop(&d->in, 2);
		b = buf_copy(bufq_pullup(&d->in, n));
		bufq_drop(&d->in, n);
		if (b)
			from_outside(d, b);
	}
}

static void on_up(struct stream_user *u, struct stream *s, unsigned events)
{
	struct dns_desk *d = container_of(u, struct dns_desk, on_up);
	ssize_t n = 0;

	if (events & STREAM_READ)
		n = stream_read(s, &d->in, STREAM_READ_MAX);
	pull_answers(d);
	if (!d->up)
		return;
	if (n >= 0)
		n = push_out(d);
	if (n < 0) {
		drop_up(d, 0);
		give_up(d, UINT64_MAX);
	}
}

static void on_dialed(struct dial_user *u, struct stream *s, int err, const char *why)
{
	struct dns_desk *d = container_of(u, struct dns_desk, on_dialed);

	d->dial = NULL;
	if (!s) {
		log_line(LOG_INFO, d->f->id, "dns", "%s", why ? why : err_name(err));
		bufq_clear(&d->out);
		give_up(d, UINT64_MAX);
		return;
	}
	d->up = s;
	d->on_up.on_event = on_up;
	stream_attach(s, &d->on_up);
	stream_want(s, STREAM_READ | STREAM_WRITE);
}

/* Takes @msg. */
static void forward_tcp(struct dns_desk *d, const struct addr *to, struct buf *msg)
{
	uint8_t prefix[2] = {(uint8_t)(msg->len >> 8), (uint8_t)msg->len};

	if (msg->len > UINT16_MAX || d->out.len + msg->len + 2 > DNS_DESK_QUEUE) {
		buf_free(msg);
		return;
	}
	msg = pkt_prepend(msg, span_of(prefix, 2));
	if (!msg)
		return;
	bufq_push(&d->out, msg);
	if (d->up) {
		stream_want(d->up, STREAM_READ | STREAM_WRITE);
	} else if (!d->dial) {
		d->on_dialed.on_dialed = on_dialed;
		d->dial = dialer_dial(d->conf->dialer, d->loop, to, d->f, &d->on_dialed);
		if (!d->dial) {
			bufq_clear(&d->out);
			give_up(d, UINT64_MAX);
		}
	}
}

/* Takes @msg. */
static void forward(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *q,
		    struct buf *msg)
{
	struct addr to = upstream(d, party);

	remember(d, party, q);
	(d->tcp ? forward_tcp : forward_udp)(d, &to, msg);
}

/* ---- the desk ---- */

/* True when the name is of a zone of ours: then @msg is taken. */
static bool ask_zone(struct dns_desk *d, const struct addr *party, const struct dnsmsg_query *q,
		     struct buf *msg)
{
	struct dnsmsg_answer a = {.ttl = DNS_ZONE_TTL_S};
	struct dns_zone_answer found;

	if (!d->conf->zone)
		return false;
	switch (dns_zone_find(d->conf->zone, q, &found)) {
	case DNS_ZONE_FOREIGN:
		return false;
	case DNS_ZONE_NONE:
		if (d->conf->conf->dns.rewrite.kind != ADDR_NONE) {
			forward(d, party, q, msg);
			return true;
		}
		a.rcode = DNSMSG_NXDOMAIN;
		break;
	case DNS_ZONE_HERE:
		break;
	}
	buf_free(msg);
	a.ips = found.ips;
	a.n = found.n;
	a.zone = found.zone;
	if (found.host)
		answer_ptr(d, party, q, found.host);
	else
		answer(d, party, q, &a);
	return true;
}

void dns_desk_ask(struct dns_desk *d, const struct addr *party, struct buf *msg)
{
	struct dnsmsg_query q;
	struct dnsmsg_answer a = {0};
	struct dns_verdict v;

	if (dnsmsg_query_decode(&q, buf_span(msg)) < 0) {
		buf_free(msg);
		return;
	}
	if (ask_zone(d, party, &q, msg))
		return;
	v = dns_rules_judge(d->conf->rules, q.type, q.name);
	/* The resolver's own: asking it would be a circle. */
	if (d->f->own_query || v.action == CONF_DNS_DIRECT) {
		forward(d, party, &q, msg);
		return;
	}
	buf_free(msg);
	if (v.action == CONF_DNS_HIJACK && q.type == DNSMSG_PTR) {
		answer_known_ptr(d, party, &q);
	} else if (v.action == CONF_DNS_HIJACK) {
		hijack(d, party, &q);
	} else if (v.action == CONF_DNS_RETURN) {
		a.rcode = v.rcode;
		answer(d, party, &q, &a);
	}
}

void dns_desk_init(struct dns_desk *d, const struct dns_desk_conf *conf, const struct flow *f,
		   size_t answer_max, struct dns_desk_user *user)
{
	unsigned net = conf->conf->dns.network ? conf->conf->dns.network : f->net;

	memset(d, 0, sizeof(*d));
	d->conf = conf;
	d->user = user;
	d->loop = f->loop;
	d->f = f;
	/* Through another outbound, or with TLS, there are only streams; servers answer to both. */
	d->tcp = net == CONF_TCP || *conf->conf->stream.sockopt.dialer_proxy ||
		 conf->conf->stream.security != CONF_SEC_NONE;
	d->answer_max = answer_max;
	list_init(&d->asked);
	timer_init(&d->patience, f->loop, on_patience);
}

void dns_desk_fini(struct dns_desk *d)
{
	struct dns_question *q;

	while ((q = list_first(&d->asked, struct dns_question, node)) != NULL) {
		resolve_cancel(&q->req);
		question_free(q);
	}
	timer_stop(&d->patience);
	for (unsigned i = 0; i < DNS_DESK_OPEN; i++)
		free(d->sent[i].query);
	dgram_close(d->udp, 0);
	d->udp = NULL;
	if (d->dial)
		dial_cancel(d->dial);
	d->dial = NULL;
	drop_up(d, 0);
}
