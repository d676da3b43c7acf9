/*
 * A small program for tests: one loop, its resolver, some inbounds and
 * outbounds. Clients come in by a pair of sockets, targets listen on loopback
 * with a port that the kernel chooses.
 */
#ifndef GARENNE_TEST_RIG_H
#define GARENNE_TEST_RIG_H

#include <netinet/in.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "flow/core.h"
#include "flow/inbound.h"
#include "flow/splice.h"
#include "net/resolve.h"
#include "turn.h"

enum { RIG_MAX = 4 };

struct rig {
	struct conf conf;
	struct core core;
	struct loop *l;
	struct conf_inbound in_conf[RIG_MAX];
	struct conf_outbound out_conf[RIG_MAX];
	struct inbound *in[RIG_MAX];
	size_t n_in;
	struct conn_info info; /* of the next client */
};

static inline void rig_defaults(struct conf_stream *s)
{
	s->sockopt.interface = s->sockopt.dialer_proxy = s->sockopt.congestion = "";
}

static inline void rig_begin(struct rig *r)
{
	struct resolve_setup setup;

	memset(r, 0, sizeof(*r));
	memset(&setup, 0, sizeof(setup));
	r->conf.policy.other = (struct conf_policy){.handshake_s = 60,
						    .conn_idle_s = 300,
						    .uplink_only_s = 1,
						    .downlink_only_s = 1};
	for (size_t i = 0; i < RIG_MAX; i++) {
		r->in_conf[i].tag = r->out_conf[i].tag = "";
		rig_defaults(&r->in_conf[i].stream);
		rig_defaults(&r->out_conf[i].stream);
	}
	r->core.conf = &r->conf;
	r->l = loop_new(0);
	r->core.n_workers = 1;
	r->core.workers[0].loop = r->l;
	r->core.workers[0].resolver = resolver_new(r->l, &setup);
	list_init(&r->core.workers[0].flows);
	list_init(&r->core.workers[0].strangers);
	ip_parse(&r->info.source.ip, span_str("127.0.0.1"));
	r->info.source.port = 50000;
	r->info.local = (struct ipport){r->info.source.ip, 1080};
	r->info.sni = r->info.alpn = "";
}

static inline bool rig_add_out(struct rig *r, struct outbound *o)
{
	return o && core_add_outbound(&r->core, o) == 0;
}

static inline bool rig_add_in(struct rig *r, struct inbound *in)
{
	r->in[r->n_in] = in;
	return in && ++r->n_in;
}

/* A client of inbound @i: the descriptor of its end. */
static inline int rig_client(struct rig *r, size_t i)
{
	int peer;
	struct stream *s = turn_pair(r->l, &peer);

	if (s)
		r->in[i]->ops->serve(r->in[i], s, &r->info);
	return peer;
}

static inline size_t rig_flows(const struct rig *r)
{
	return r->core.workers[0].n_flows;
}

/* Returns the number of bufs that leaked. */
static inline long rig_end(struct rig *r)
{
	struct list *flows = &r->core.workers[0].flows;

	while (!list_empty(flows))
		flow_abort(list_first(flows, struct flow, all), -ERR_CLOSED);
	turn_idle(r->l);
	for (size_t i = 0; i < r->n_in; i++) {
		if (r->in[i]->ops->stop)
			r->in[i]->ops->stop(r->in[i]);
		r->in[i]->ops->free(r->in[i]);
	}
	for (size_t i = 0; i < r->core.n_outbounds; i++)
		r->core.outbounds[i]->ops->free(r->core.outbounds[i]);
	free(r->core.outbounds);
	for (size_t i = 0; i < CORE_LOOPS_MAX; i++)
		free(r->core.workers[i].tallies);
	resolver_free(r->core.workers[0].resolver);
	loop_free(r->l);
	splice_thread_exit();
	return buf_live();
}

/* A socket bound to 127.0.0.1 (TCP: listening), its address in *@at. */
static inline int rig_target(int type, struct ipport *at)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sa, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return -1;
	ipport_from_sockaddr(at, (struct sockaddr *)&sa);
	if (type == SOCK_STREAM)
		listen(fd, 8);
	return fd;
}

/* The next connection to @fd, non-blocking; the loop turns meanwhile. */
static inline int rig_accept(struct rig *r, int fd)
{
	int got;

	alarm(TURN_ALARM_S);
	while ((got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
		ev_run(loop_ev(r->l), EVRUN_NOWAIT);
	alarm(0);
	return got;
}

/* The next datagram; the loop turns meanwhile. */
static inline size_t rig_recv(struct rig *r, int fd, void *to, size_t max, struct ipport *from)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	ssize_t n;

	alarm(TURN_ALARM_S);
	while ((n = recvfrom(fd, to, max, 0, (struct sockaddr *)&sa, &len)) == -1)
		ev_run(loop_ev(r->l), EVRUN_NOWAIT);
	alarm(0);
	ipport_from_sockaddr(from, (struct sockaddr *)&sa);
	return (size_t)n;
}

static inline bool rig_sendto(int fd, const void *p, size_t n, const struct ipport *to)
{
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(to, &sa);

	return sendto(fd, p, n, 0, (struct sockaddr *)&sa, len) == (ssize_t)n;
}

static inline bool rig_write(int fd, const void *p, size_t n)
{
	return write(fd, p, n) == (ssize_t)n;
}

#endif
