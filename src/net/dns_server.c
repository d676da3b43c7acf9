#include "net/dns_server.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/dgram_udp.h"
#include "net/dns_server_int.h"
#include "net/sock.h"

enum { UDP_SENT_MAX = 128 }; /* then another port is used */

/* ---- lookups ---- */

static void asked_destroy(struct garbage *g)
{
	free(container_of(g, struct dns_asked, garbage));
}

static void add(struct dns_answer *to, const struct dns_answer *from)
{
	for (unsigned i = 0; i < from->n && to->n < DNS_ADDRS_MAX; i++)
		to->ip[to->n++] = from->ip[i];
	if (from->n && (to->ttl == 0 || from->ttl < to->ttl))
		to->ttl = from->ttl;
}

/* What both lookups say together: addresses if either has some. The family that the machine has a
 * way for goes first; IPv6 if it has both (RFC 6724). */
static void merge(const struct dns_asked *a, struct dns_answer *out)
{
	bool v6_first = a->n > 1 && sock_has_route(6);

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < a->n; i++)
		add(out, &a->got[v6_first ? a->n - 1 - i : i]);
	if (out->n)
		return;
	for (unsigned i = 0; i < a->n; i++)
		if (a->got[i].status > out->status)
			out->status = a->got[i].status;
	if (out->status == DNS_OK)
		out->status = DNS_NONE;
}

static void lookup_done(struct dns_lookup *k, const struct dns_answer *answer)
{
	struct dns_asked *a = k->asked;
	struct dns_server *s = a->s;
	struct dns_answer all;

	timer_stop(&k->timer);
	list_del(&k->node);
	s->n_lookups--;
	if (k->over_line)
		dns_line_drop(s->line, k);
	bufq_clear(&k->body);
	a->got[k - a->lookups] = *answer;
	if (--a->left)
		return;
	merge(a, &all);
	a->garbage.destroy = asked_destroy;
	loop_free_later(s->t.loop, &a->garbage);
	a->q->on_answer(a->q, &all);
}

void dns_lookup_fail(struct dns_lookup *k, enum dns_status status)
{
	struct dns_answer a = {.status = status};

	lookup_done(k, &a);
}

/* Letters of the name become capitals as the bits say. */
static void spell(const struct dns_lookup *k, char out[DNSMSG_NAME_MAX + 1])
{
	const char *name = k->asked->name;
	size_t n = strlen(name);

	if (n > 1 && name[n - 1] == '.')
		n--;
	n = n < DNSMSG_NAME_MAX ? n : DNSMSG_NAME_MAX;
	for (size_t i = 0; i < n; i++) {
		bool up = i < 64 && (k->caps >> i & 1);

		out[i] = up ? (char)toupper((unsigned char)name[i]) : name[i];
	}
	out[n] = 0;
}

int dns_lookup_encode(const struct dns_lookup *k, struct wr *out)
{
	const struct conf_dns_server *conf = k->asked->s->t.conf;
	struct dnsmsg_query q = {.id = k->id, .recurse = true, .type = k->type, .class = DNSMSG_IN};
	struct dnsmsg_edns edns = {conf->client_ip, conf->kind == CONF_DNS_HTTPS};

	spell(k, q.name);
	return edns.client.family || edns.pad ? dnsmsg_query_edns_encode(out, &q, &edns)
					      : dnsmsg_query_encode(out, &q);
}

static uint16_t draw_id(const struct dns_server *s)
{
	uint16_t id = 0;

	/* Where the connection says who answers, equal questions shall look equal (RFC 8484, 4.1). */
	if (s->t.conf->kind != CONF_DNS_HTTPS && rand_bytes(&id, sizeof(id)) != 0)
		id = 0;
	return id;
}

/* ---- answers ---- */

static bool is_of(const struct dns_lookup *k, const struct dnsmsg_reply *r)
{
	char name[DNSMSG_NAME_MAX + 1];

	if (k->id != r->id || k->type != r->type)
		return false;
	spell(k, name);
	return k->over_line ? strcasecmp(name, r->name) == 0 : strcmp(name, r->name) == 0;
}

static struct dns_lookup *find(struct dns_server *s, const struct dnsmsg_reply *r)
{
	struct dns_lookup *k;

	list_each(k, &s->lookups, node)
		if (is_of(k, r))
			return k;
	return NULL;
}

static void move_to_line(struct dns_lookup *k)
{
	struct dns_server *s = k->asked->s;

	k->over_line = true;
	if (!s->line)
		s->line = dns_line_new(s);
	if (s->line)
		dns_line_send(s->line, k);
	else
		dns_lookup_fail(k, DNS_NOMEM);
}

static void take(struct dns_lookup *k, const struct dnsmsg_reply *r)
{
	struct dns_answer a = {.ttl = r->ttl};

	if (r->truncated && !k->over_line) {
		move_to_line(k);
		return;
	}
	if (r->rcode != DNSMSG_NOERROR && r->rcode != DNSMSG_NXDOMAIN)
		a.status = DNS_FAILED;
	else if (r->n == 0)
		a.status = DNS_NONE;
	for (unsigned i = 0; a.status == DNS_OK && i < r->n && a.n < DNS_ADDRS_MAX; i++)
		a.ip[a.n++] = r->ips[i];
	lookup_done(k, &a);
}

void dns_server_heard(struct dns_server *s, struct dns_lookup *k, struct span msg)
{
	struct dnsmsg_reply r;

	if (dnsmsg_reply_decode(&r, msg) < 0 || (k && !is_of(k, &r))) {
		if (k)
			dns_lookup_fail(k, DNS_FAILED);
		return;
	}
	if (!k)
		k = find(s, &r);
	if (k)
		take(k, &r);
}

/* ---- UDP ---- */

static void udp_close(struct dns_server *s)
{
	dgram_close(s->udp, 0);
	s->udp = NULL;
	s->udp_sent = 0;
}

static void on_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
		      struct buf *pkt)
{
	struct dns_server *s = container_of(u, struct dns_server, on_udp);
	const struct addr *at = &s->t.conf->addr;

	(void)d;
	/* A server with a name has an address that only those below know. */
	if (from->kind == ADDR_NONE || at->kind != ADDR_IP || addr_eq(from, at))
		dns_server_heard(s, NULL, buf_span(pkt));
	buf_free(pkt);
}

static void udp_lost(struct dns_server *s)
{
	struct dns_lookup *k, *next;

	list_each_safe(k, next, &s->lookups, node)
		if (!k->over_line)
			dns_lookup_lost(k);
}

static void on_udp_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct dns_server *s = container_of(u, struct dns_server, on_udp);

	(void)d;
	(void)err;
	udp_close(s);
	udp_lost(s);
}

/* Nobody listens there. */
static void on_bounce(struct dgram_user *u, struct dgram *d, const struct addr *to, int err)
{
	(void)d;
	(void)to;
	(void)err;
	udp_lost(container_of(u, struct dns_server, on_udp));
}

static struct dgram *udp_open(struct dns_server *s)
{
	const struct dns_server_terms *t = &s->t;
	struct dgram_udp_spec spec = {.opts = t->opts, .target = t->conf->addr};
	char why[NET_WHY_MAX];
	struct dgram *d;

	if (t->door)
		return t->door->packets(t->door, t->loop, &t->conf->addr, t->conf->tag);
	d = dgram_udp_new(t->loop, t->names, &spec, why);
	if (!d)
		log_warn("dns", "%s", why);
	return d;
}

static void udp_send(struct dns_server *s, struct dns_lookup *k)
{
	static const struct addr the_server;
	struct buf *b = buf_new(DNSMSG_EDNS_QUERY_MAX);
	struct wr w;

	if (s->udp && s->udp_sent >= UDP_SENT_MAX && s->n_lookups == 1)
		udp_close(s);
	if (!s->udp) {
		s->udp = udp_open(s);
		if (s->udp) {
			s->on_udp = (struct dgram_user){on_packet, on_udp_end, on_bounce};
			dgram_attach(s->udp, &s->on_udp);
		}
	}
	w = wr_of(b ? b->data : NULL, b ? DNSMSG_EDNS_QUERY_MAX : 0);
	if (!b || !s->udp || dns_lookup_encode(k, &w) != 0) {
		buf_free(b);
		dns_lookup_fail(k, DNS_FAILED);
		return;
	}
	b->len = (uint32_t)w.n;
	s->udp_sent++;
	dgram_send(s->udp, &the_server, b);
}

/* ---- questions ---- */

/* The first try gets a third of the time over UDP, where packets are lost; a connection has all. */
static uint32_t try_ms(const struct dns_lookup *k)
{
	uint32_t all = k->asked->s->t.conf->timeout_ms, third = all / 3 + 1;

	if (k->over_line)
		return all;
	return k->tries == 1 ? third : all - all / 3;
}

static void try_once(struct dns_lookup *k)
{
	struct dns_server *s = k->asked->s;

	k->tries++;
	k->id = draw_id(s);
	k->caps = 0;
	if (!k->over_line && k->tries == 1)
		rand_fill(&k->caps, sizeof(k->caps));
	if (!k->over_line || !timer_on(&k->timer))
		timer_start(&k->timer, try_ms(k));
	if (k->over_line)
		move_to_line(k);
	else
		udp_send(s, k);
}

void dns_lookup_lost(struct dns_lookup *k)
{
	if (k->tries < DNS_TRIES)
		try_once(k);
	else
		dns_lookup_fail(k, DNS_FAILED);
}

static void on_time(struct timer *t)
{
	struct dns_lookup *k = container_of(t, struct dns_lookup, timer);

	struct dns_server *s = k->asked->s;
	bool over_line = k->over_line;

	if (!over_line && k->tries < DNS_TRIES) {
		try_once(k);
		return;
	}
	dns_lookup_fail(k, DNS_SILENT);
	if (over_line && s->line)
		dns_line_silent(s->line);
}

static void lookup_start(struct dns_asked *a, struct dns_lookup *k)
{
	struct dns_server *s = a->s;

	k->over_line = s->t.conf->kind != CONF_DNS_UDP;
	s->n_lookups++;
	list_add_tail(&s->lookups, &k->node);
	try_once(k);
}

void dns_server_ask(struct dns_server *s, struct dns_question *q, const char *name, bool v4, bool v6)
{
	static const uint16_t types[2] = {DNSMSG_A, DNSMSG_AAAA};
	bool wanted[2] = {v4, v6};
	size_t n = strlen(name) + 1;
	struct dns_asked *a = NULL;

	if (s->n_lookups < DNS_SERVER_LOOKUPS_MAX)
		a = calloc(1, sizeof(*a) + n);
	if (!a) {
		struct dns_answer none = {.status = DNS_NOMEM};

		q->on_answer(q, &none);
		return;
	}
	memcpy(a->name, name, n);
	a->q = q;
	a->s = s;
	for (unsigned i = 0; i < 2; i++) {
		struct dns_lookup *k = &a->lookups[a->n];

		if (!wanted[i])
			continue;
		a->n++;
		k->asked = a;
		k->type = types[i];
		list_init(&k->node);
		list_init(&k->wait);
		timer_init(&k->timer, s->t.loop, on_time);
	}
	/* A lookup may fail at once: the last one ends the question. */
	a->left = a->n + 1;
	for (unsigned i = 0; i < a->n; i++)
		lookup_start(a, &a->lookups[i]);
	if (--a->left == 0) {
		struct dns_answer all;

		merge(a, &all);
		a->garbage.destroy = asked_destroy;
		loop_free_later(s->t.loop, &a->garbage);
		q->on_answer(q, &all);
	}
}

struct dns_server *dns_server_new(const struct dns_server_terms *t)
{
	struct dns_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->t = *t;
	if (t->conf->local)
		s->t.door = NULL;
	list_init(&s->lookups);
	return s;
}

void dns_server_free(struct dns_server *s)
{
	if (!s)
		return;
	while (!list_empty(&s->lookups))
		dns_lookup_fail(list_first(&s->lookups, struct dns_lookup, node), DNS_GONE);
	udp_close(s);
	dns_line_free(s->line);
	free(s);
}
