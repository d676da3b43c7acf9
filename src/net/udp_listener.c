#include "net/udp_listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/udp_sock.h"

enum { SWEEP_MS = 10000, WARN_EVERY_S = 60 };

struct udp_listener {
	struct loop *loop;
	struct udp_listener_user *user;
	const struct conf_sockopt *opts;
	struct udp_sock sock;
	bool transparent;
	struct list foreign; /* longest unused first */
	unsigned n_foreign;
	struct timer sweep;
	struct log_rate warned;
	struct garbage garbage;
};

struct foreign {
	struct list node;
	struct udp_listener *l;
	struct udp_sock sock;
	uint64_t used; /* ms */
	struct garbage garbage;
};

static void on_packet(struct udp_sock *s, const struct ipport *from, const struct ipport *to,
		      struct buf *pkt)
{
	struct udp_listener *l = container_of(s, struct udp_listener, sock);

	l->user->on_packet(l->user, l, from, to->ip.family ? to : &s->at, pkt);
}

/* Some rule sets of the firewall prefer an open socket to the listener. */
static void on_foreign_packet(struct udp_sock *s, const struct ipport *from,
			      const struct ipport *to, struct buf *pkt)
{
	struct foreign *f = container_of(s, struct foreign, sock);

	(void)to;
	f->used = loop_now(f->l->loop);
	f->l->user->on_packet(f->l->user, f->l, from, &s->at, pkt);
}

static void foreign_destroy(struct garbage *g)
{
	free(container_of(g, struct foreign, garbage));
}

static void foreign_close(struct foreign *f)
{
	list_del(&f->node);
	f->l->n_foreign--;
	udp_sock_fini(&f->sock);
	f->garbage.destroy = foreign_destroy;
	loop_free_later(f->l->loop, &f->garbage);
}

static void on_sweep(struct timer *t)
{
	struct udp_listener *l = container_of(t, struct udp_listener, sweep);
	uint64_t now = loop_now(l->loop);
	struct foreign *f;

	while ((f = list_first(&l->foreign, struct foreign, node)) != NULL &&
	       now - f->used >= UDP_LISTENER_FOREIGN_IDLE_S * 1000)
		foreign_close(f);
	if (l->n_foreign)
		timer_start(t, SWEEP_MS);
}

/* A socket bound to somebody else's address; the descriptor or -ERR_*. */
static int foreign_socket(const struct udp_listener *l, const struct ipport *at,
			  struct sock_fail *fail)
{
	struct conf_sockopt opts = l->opts ? *l->opts : (struct conf_sockopt){0};
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(at, &sa);
	int fd, on = 1;

	opts.tproxy = CONF_TPROXY_TPROXY;
	opts.interface = NULL; /* of diallers only */
	fd = sock_dial(SOCK_NET_UDP, at->ip.family, NULL, &opts, fail);
	if (fd < 0)
		return fd;
	/* Another listener of ours may answer from the same place. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->ip.family == 6)
		setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) == -1) {
		*fail = (struct sock_fail){"bind", errno};
		close(fd);
		return -ERR_SYS;
	}
	return fd;
}

static struct foreign *foreign_new(struct udp_listener *l, const struct ipport *at)
{
	struct sock_fail fail = {"malloc", ENOMEM};
	struct foreign *f = calloc(1, sizeof(*f));
	char text[160];
	uint32_t muted;
	int fd = f ? foreign_socket(l, at, &fail) : -ERR_NOMEM;

	if (fd < 0) {
		if (log_rate_pass(&l->warned, loop_now(l->loop), 1, WARN_EVERY_S, &muted))
			log_warn("udp", "%s",
				 sock_fail_text(&fail, "answer from a foreign address", text,
						sizeof(text)));
		free(f);
		return NULL;
	}
	if (l->n_foreign == UDP_LISTENER_FOREIGN)
		foreign_close(list_first(&l->foreign, struct foreign, node));
	f->l = l;
	f->sock.on_packet = on_foreign_packet;
	udp_sock_init(&f->sock, l->loop, fd);
	list_add_tail(&l->foreign, &f->node);
	l->n_foreign++;
	if (!timer_on(&l->sweep))
		timer_start(&l->sweep, SWEEP_MS);
	return f;
}

static struct foreign *foreign_find(struct udp_listener *l, const struct ipport *at)
{
	struct foreign *f;

	list_each(f, &l->foreign, node)
		if (ipport_eq(&f->sock.at, at))
			return f;
	return foreign_new(l, at);
}

void udp_listener_send(struct udp_listener *l, const struct ipport *from, const struct ipport *to,
		       struct buf *pkt)
{
	struct foreign *f;

	if (!from || from->ip.family == 0 || from->port == l->sock.at.port || !l->transparent) {
		udp_sock_send(&l->sock, from ? &from->ip : NULL, to, pkt);
		return;
	}
	f = foreign_find(l, from);
	if (!f) {
		buf_free(pkt);
		return;
	}
	list_del(&f->node);
	list_add_tail(&l->foreign, &f->node);
	f->used = loop_now(l->loop);
	udp_sock_send(&f->sock, NULL, to, pkt);
}

struct udp_listener *udp_listener_new(struct loop *loop, const struct udp_listener_spec *spec,
				      struct udp_listener_user *user, char why[NET_WHY_MAX])
{
	struct udp_listener *l = calloc(1, sizeof(*l));
	int fd;

	if (!l) {
		snprintf(why, NET_WHY_MAX, "%s", err_name(ERR_NOMEM));
		return NULL;
	}
	fd = sock_listen(SOCK_NET_UDP, &spec->at, spec->opts, why);
	if (fd < 0) {
		free(l);
		return NULL;
	}
	l->loop = loop;
	l->user = user;
	l->opts = spec->opts;
	l->transparent = spec->opts && spec->opts->tproxy == CONF_TPROXY_TPROXY;
	list_init(&l->foreign);
	timer_init(&l->sweep, loop, on_sweep);
	l->sock.on_packet = on_packet;
	udp_sock_init(&l->sock, loop, fd);
	return l;
}

struct ipport udp_listener_at(const struct udp_listener *l)
{
	return l->sock.at;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct udp_listener, garbage));
}

void udp_listener_close(struct udp_listener *l)
{
	if (!l)
		return;
	timer_stop(&l->sweep);
	while (!list_empty(&l->foreign))
		foreign_close(list_first(&l->foreign, struct foreign, node));
	udp_sock_fini(&l->sock);
	l->garbage.destroy = destroy;
	loop_free_later(l->loop, &l->garbage);
}
