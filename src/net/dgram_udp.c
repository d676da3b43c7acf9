#include "net/dgram_udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/ledger.h"
#include "net/udp_sock.h"

struct dgram_udp {
	struct dgram d;
	struct udp_sock sock;
	struct resolver *resolver;
	enum conf_strategy strategy;
	struct ip local;
	struct addr target;
	struct connect_gate *gate;
	struct ipport noted;  /* where packets went last, if our own dials are noted */
	struct ipport judged; /* what the gate was asked last, and its answer */
	bool may;
	struct list names; /* longest unused first */
	unsigned n_names;
};

/* A target's name, being resolved or resolved for good. */
struct name {
	struct list node;
	struct dgram_udp *u;
	struct resolve_req query;
	struct ip ip; /* family 0: being resolved */
	struct {
		struct buf *pkt;
		uint16_t port;
	} wait[DGRAM_UDP_WAIT];
	unsigned n;
	char text[];
};

static struct dgram_udp *of(struct dgram *d)
{
	return container_of(d, struct dgram_udp, d);
}

static void name_free(struct name *n)
{
	resolve_cancel(&n->query);
	list_del(&n->node);
	n->u->n_names--;
	while (n->n)
		buf_free(n->wait[--n->n].pkt);
	free(n);
}

static bool allowed(struct dgram_udp *u, const struct ipport *to)
{
	if (!u->gate)
		return true;
	if (!ipport_eq(to, &u->judged)) {
		u->judged = *to;
		u->may = u->gate->may(u->gate, to);
	}
	return u->may;
}

/* As for connections: whoever gets such a packet back shall know whose it is. */
static void note(struct dgram_udp *u, const struct ipport *to)
{
	struct ledger *ledger = loop_ledger(u->d.loop);

	ledger_del_dial(ledger, CONF_UDP, &u->sock.at, &u->noted);
	u->noted = *to;
	ledger_add_dial(ledger, CONF_UDP, &u->sock.at, to);
}

/* Takes @pkt. */
static void send_to(struct dgram_udp *u, const struct ipport *to, struct buf *pkt)
{
	if (loop_ledger(u->d.loop) && !ipport_eq(to, &u->noted))
		note(u, to);
	if (allowed(u, to))
		udp_sock_send(&u->sock, NULL, to, pkt);
	else
		buf_free(pkt);
}

static bool usable(const struct dgram_udp *u, const struct ip *ip)
{
	if (u->local.family)
		return ip->family == u->local.family;
	return u->sock.v6 || ip->family == 4;
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct name *n = container_of(q, struct name, query);
	struct dgram_udp *u = n->u;

	for (unsigned i = 0; i < res->n && n->ip.family == 0; i++) {
		struct ipport at = {res->ip[i], n->n ? n->wait[0].port : 0};

		if (usable(u, &at.ip) && allowed(u, &at))
			n->ip = at.ip;
	}
	if (n->ip.family == 0) {
		log_debug("udp", "%s; %u packets lost", res->err ? res->why : "no usable address",
			  n->n);
		name_free(n); /* the next packet asks again */
		return;
	}
	for (unsigned i = 0; i < n->n; i++) {
		struct ipport to = {n->ip, n->wait[i].port};

		send_to(u, &to, n->wait[i].pkt);
	}
	n->n = 0;
}

static struct name *name_new(struct dgram_udp *u, const char *text)
{
	size_t len = strlen(text) + 1;
	struct name *n = calloc(1, sizeof(*n) + len);

	if (!n)
		return NULL;
	if (u->n_names == DGRAM_UDP_NAMES)
		name_free(list_first(&u->names, struct name, node));
	n->u = u;
	n->query.on_done = on_resolved;
	memcpy(n->text, text, len);
	list_add_tail(&u->names, &n->node);
	u->n_names++;
	resolve_start(u->resolver, &n->query, text, u->strategy, 0);
	return n;
}

static struct name *name_find(struct dgram_udp *u, const char *text)
{
	struct name *n;

	list_each(n, &u->names, node) {
		if (strcmp(n->text, text) != 0)
			continue;
		list_del(&n->node);
		list_add_tail(&u->names, &n->node);
		return n;
	}
	return name_new(u, text);
}

static void send_to_name(struct dgram_udp *u, const struct addr *to, struct buf *pkt)
{
	struct name *n = u->resolver ? name_find(u, to->name) : NULL;
	struct ipport at;

	if (n && n->ip.family) {
		at = (struct ipport){n->ip, to->port};
		send_to(u, &at, pkt);
	} else if (n && n->n < DGRAM_UDP_WAIT) {
		n->wait[n->n].pkt = pkt;
		n->wait[n->n++].port = to->port;
	} else {
		buf_free(pkt);
	}
}

static void send_packet(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	struct dgram_udp *u = of(d);
	struct ipport at;

	if (to->kind == ADDR_NONE)
		to = &u->target;
	if (to->kind == ADDR_NAME)
		send_to_name(u, to, pkt);
	else if (addr_to_ipport(to, &at))
		send_to(u, &at, pkt);
	else
		buf_free(pkt);
}

static void on_packet(struct udp_sock *s, const struct ipport *from, const struct ipport *to,
		      struct buf *pkt)
{
	struct dgram_udp *u = container_of(s, struct dgram_udp, sock);
	struct addr a = addr_from_ipport(from);

	(void)to;
	dgram_deliver(&u->d, &a, pkt);
}

static void on_bounce(struct udp_sock *s, const struct ipport *to, int err)
{
	struct addr a = addr_from_ipport(to);

	dgram_bounced(&container_of(s, struct dgram_udp, sock)->d, &a, err);
}

static void destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void close_it(struct dgram *d, int err)
{
	struct dgram_udp *u = of(d);

	(void)err;
	while (!list_empty(&u->names))
		name_free(list_first(&u->names, struct name, node));
	ledger_del_dial(loop_ledger(d->loop), CONF_UDP, &u->sock.at, &u->noted);
	udp_sock_fini(&u->sock);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops ops = {
	.name = "udp",
	.send = send_packet,
	.close = close_it,
};

/* Else the kernel does it with the first packet, too late for the ledger. */
static void choose_port(int fd)
{
	struct sockaddr_storage sa;
	struct ipport at;
	socklen_t len;

	if (sock_local(fd, &at) != 0 || at.port)
		return;
	len = ipport_to_sockaddr(&at, &sa);
	bind(fd, (struct sockaddr *)&sa, len); /* if it fails, nothing is noted */
}

struct dgram *dgram_udp_new(struct loop *l, struct resolver *r, const struct dgram_udp_spec *spec,
			    char why[NET_WHY_MAX])
{
	int family = spec->local.family ? spec->local.family : 6;
	struct dgram_udp *u = calloc(1, sizeof(*u));
	struct sock_fail f;
	int fd;

	if (!u) {
		snprintf(why, NET_WHY_MAX, "%s", err_name(ERR_NOMEM));
		return NULL;
	}
	fd = sock_dial(SOCK_NET_UDP, family, &spec->local, spec->opts, &f);
	if (fd < 0 && family == 6 && !spec->local.family && f.sys == EAFNOSUPPORT)
		fd = sock_dial(SOCK_NET_UDP, 4, NULL, spec->opts, &f); /* a kernel without IPv6 */
	if (fd < 0) {
		sock_fail_text(&f, "listen udp", why, NET_WHY_MAX);
		free(u);
		return NULL;
	}
	dgram_init(&u->d, &ops, l);
	u->resolver = r;
	u->strategy = spec->strategy;
	u->local = spec->local;
	u->target = spec->target;
	u->gate = spec->gate;
	list_init(&u->names);
	if (loop_ledger(l))
		choose_port(fd);
	u->sock.on_packet = on_packet;
	u->sock.on_bounce = on_bounce;
	udp_sock_init(&u->sock, l, fd);
	return &u->d;
}

struct ipport dgram_udp_local(struct dgram *d)
{
	struct ipport at;

	sock_local(of(d)->sock.fd, &at);
	return at;
}
