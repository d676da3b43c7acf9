#include "net/dns_channel.h"

#include <ares.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/list.h"
#include "base/log.h"

enum {
	/* Each round waits twice as long as the one before. */
	SYSTEM_TRIES = 3,
	SYSTEM_FIRST_MS = 1500,
	SYSTEM_SERVERS_MAX = 16, /* of resolv.conf; others ask three */
};

/* A descriptor of c-ares. Reused, never freed while the channel lives: it may be in a callback. */
struct dns_sock {
	struct list node;
	struct dns_channel *c;
	struct watch watch;
};

struct dns_channel {
	struct loop *loop;
	ares_channel ares;
	const struct conf_sockopt *opts;
	struct list socks, spare;
	struct timer tick;
	bool closing;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

static void arm(struct dns_channel *c)
{
	struct timeval tv;

	if (c->closing)
		return;
	if (ares_timeout(c->ares, NULL, &tv))
		timer_start(&c->tick, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
	else
		timer_stop(&c->tick);
}

static void on_tick(struct timer *t)
{
	struct dns_channel *c = container_of(t, struct dns_channel, tick);

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(c);
}

static void on_sock_ready(struct watch *w, unsigned events)
{
	struct dns_channel *c = container_of(w, struct dns_sock, watch)->c;
	int fd = w->io.fd;

	ares_process_fd(c->ares, events & WATCH_READ ? fd : ARES_SOCKET_BAD,
			events & WATCH_WRITE ? fd : ARES_SOCKET_BAD);
	arm(c);
}

static struct dns_sock *sock_of(struct dns_channel *c, int fd)
{
	struct dns_sock *s;

	list_each(s, &c->socks, node)
		if (s->watch.io.fd == fd)
			return s;
	return NULL;
}

static struct dns_sock *sock_add(struct dns_channel *c, int fd)
{
	struct dns_sock *s = list_first(&c->spare, struct dns_sock, node);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		list_init(&s->node);
	}
	list_del(&s->node);
	s->c = c;
	watch_init(&s->watch, c->loop, fd, on_sock_ready);
	list_add_tail(&c->socks, &s->node);
	return s;
}

/* c-ares says what it waits for; both zero: the descriptor is about to be closed. */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *c = arg;
	struct dns_sock *s = sock_of(c, fd);

	if (!s && (readable || writable))
		s = sock_add(c, fd);
	if (!s) /* out of memory: the question ends by its timeout */
		return;
	watch_set(&s->watch,
		  (readable ? (unsigned)WATCH_READ : 0u) | (writable ? (unsigned)WATCH_WRITE : 0u));
	if (!readable && !writable) {
		list_del(&s->node);
		list_add_tail(&c->spare, &s->node);
	}
}

static int on_sock_made(ares_socket_t fd, int type, void *arg)
{
	struct dns_channel *c = arg;
	struct sock_fail f;
	char text[160];
	int domain = AF_INET;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (sock_apply_dial(fd, type == SOCK_STREAM ? SOCK_NET_TCP : SOCK_NET_UDP,
			    domain == AF_INET6 ? 6 : 4, c->opts, &f) == 0)
		return 0;
	log_warn("dns", "%s", sock_fail_text(&f, "socket for queries", text, sizeof(text)));
	return -1;
}

static enum dns_status status_of(int ares)
{
	switch (ares) {
	case ARES_SUCCESS:
		return DNS_OK;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
	case ARES_ENONAME:
		return DNS_NONE;
	case ARES_ETIMEOUT:
		return DNS_SILENT;
	case ARES_ENOMEM:
		return DNS_NOMEM;
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return DNS_GONE;
	default: /* ECONNREFUSED, too: c-ares 1.18 says so of SERVFAIL */
		return DNS_FAILED;
	}
}

static void add_address(struct dns_answer *a, const struct ares_addrinfo_node *node)
{
	struct ipport at;

	if (a->n == DNS_ADDRS_MAX || ipport_from_sockaddr(&at, node->ai_addr) != 0)
		return;
	for (unsigned i = 0; i < a->n; i++)
		if (ip_eq(&a->ip[i], &at.ip))
			return;
	if (a->n == 0 || (uint32_t)node->ai_ttl < a->ttl)
		a->ttl = node->ai_ttl > 0 ? (uint32_t)node->ai_ttl : 0;
	a->ip[a->n++] = at.ip;
}

static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct dns_question *q = arg;
	struct dns_answer a = {.status = status_of(status)};

	(void)timeouts;
	if (res) {
		for (struct ares_addrinfo_node *n = res->nodes; n; n = n->ai_next)
			add_address(&a, n);
		for (struct ares_addrinfo_cname *n = res->cnames; n; n = n->next)
			if (n->ttl >= 0 && (uint32_t)n->ttl < a.ttl)
				a.ttl = (uint32_t)n->ttl;
		ares_freeaddrinfo(res);
	}
	if (a.status == DNS_OK && a.n == 0)
		a.status = DNS_NONE;
	q->on_answer(q, &a);
}

void dns_ask(struct dns_channel *c, struct dns_question *q, const char *name, bool v4, bool v6)
{
	struct ares_addrinfo_hints hints = {.ai_socktype = SOCK_STREAM};

	hints.ai_family = v4 && v6 ? AF_UNSPEC : v6 ? AF_INET6 : AF_INET;
	ares_getaddrinfo(c->ares, name, NULL, &hints, on_addrinfo, q);
	arm(c);
}

static bool is_one_of(const struct ares_addr_port_node *s, const struct ip *v, size_t n)
{
	struct ip ip = s->family == AF_INET ? ip_v4((const uint8_t *)&s->addr.addr4) :
					      ip_v6((const uint8_t *)&s->addr.addr6);

	for (size_t i = 0; i < n; i++)
		if (ip_eq(&v[i], &ip))
			return true;
	return false;
}

/* Takes servers off the list, unless no other is left. */
static void pass_over(struct dns_channel *c, const struct ip *v, size_t n)
{
	struct ares_addr_port_node *all = NULL, kept[SYSTEM_SERVERS_MAX];
	size_t k = 0, seen = 0;

	if (n == 0 || ares_get_servers_ports(c->ares, &all) != ARES_SUCCESS)
		return;
	for (struct ares_addr_port_node *s = all; s; s = s->next, seen++) {
		if (is_one_of(s, v, n) || k == SYSTEM_SERVERS_MAX)
			continue;
		kept[k] = *s;
		kept[k].next = NULL;
		if (k)
			kept[k - 1].next = &kept[k];
		k++;
	}
	if (k && k < seen)
		ares_set_servers_ports(c->ares, kept);
	ares_free_data(all);
}

static int init_system(struct dns_channel *c, const struct dns_channel_setup *setup,
		       struct ares_options *o, int mask)
{
	char path[256];
	int got;

	o->timeout = SYSTEM_FIRST_MS;
	o->tries = SYSTEM_TRIES;
	if (setup->resolv_conf && strlen(setup->resolv_conf) < sizeof(path)) {
		snprintf(path, sizeof(path), "%s", setup->resolv_conf);
		o->resolvconf_path = path; /* copied by the library */
		mask |= ARES_OPT_RESOLVCONF;
	}
	got = ares_init_options(&c->ares, o, mask);
	if (got == ARES_SUCCESS)
		pass_over(c, setup->never, setup->n_never);
	return got;
}

struct dns_channel *dns_channel_new(struct loop *l, const struct dns_channel_setup *setup)
{
	struct dns_channel *c = calloc(1, sizeof(*c));
	struct ares_options o = {0};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
	int got;

	if (!c)
		return NULL;
	pthread_once(&library_once, library_init);
	c->loop = l;
	c->opts = setup->opts;
	list_init(&c->socks);
	list_init(&c->spare);
	timer_init(&c->tick, l, on_tick);
	o.sock_state_cb = on_sock_state;
	o.sock_state_cb_data = c;
#ifdef ARES_OPT_QUERY_CACHE
	o.qcache_max_ttl = 0; /* later versions keep answers; the resolver does, too */
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	got = init_system(c, setup, &o, mask);
	if (got != ARES_SUCCESS) {
		log_warn("dns", "cannot start the resolver: %s", ares_strerror(got));
		free(c);
		return NULL;
	}
	ares_set_socket_configure_callback(c->ares, on_sock_made, c);
	return c;
}

void dns_channel_free(struct dns_channel *c)
{
	struct dns_sock *s, *next;

	if (!c)
		return;
	c->closing = true;
	ares_destroy(c->ares); /* ends every question, closes every descriptor */
	timer_stop(&c->tick);
	list_splice_tail(&c->spare, &c->socks);
	list_each_safe(s, next, &c->spare, node) {
		watch_set(&s->watch, 0);
		free(s);
	}
	free(c);
}
