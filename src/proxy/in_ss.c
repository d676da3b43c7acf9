#include "proxy/in_ss.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "proto/netaddr.h"
#include "proxy/in_ss_udp.h"
#include "proxy/intake.h"
#include "proxy/ss_keys.h"
#include "proxy/ss_stream.h"

enum {
	REPLAY_MAX_2022 = 1 << 20,   /* salts within a minute */
	REPLAY_MAX_CLASSIC = 200000, /* recordings as far back as that */
	INTAKE_LIMIT = 65536,
};

struct in_ss {
	struct inbound in;
	const struct conf_in_ss *conf;
	struct ss_people people;
	struct ss_replay *replay; /* shared by all loops */
	pthread_mutex_t replay_lock;
	struct intake_log log;
	struct in_ss_udp *udp;
};

/* A connection until its target is known. */
struct ss_conn {
	struct in_ss *owner;
	struct intake_user on_intake;
	struct intake intake;
	struct ipport source, local;
	struct ss_served served;
	bool keyed; /* the head was authentic */
	size_t user;
	struct addr target;
	struct bufq plain; /* opened: classic address and payload; then payload */
	char why[96];
	struct garbage garbage;
};

static void conn_destroy(struct garbage *g)
{
	struct ss_conn *c = container_of(g, struct ss_conn, garbage);

	ss_reader_fini(&c->served.reader);
	ss_key_wipe(&c->served.user.key);
	bufq_clear(&c->plain);
	free(c);
}

static void conn_free(struct ss_conn *c, struct loop *l)
{
	c->garbage.destroy = conn_destroy;
	loop_free_later(l, &c->garbage);
}

/* Every refusal looks the same from outside: silence. */
static ssize_t refuse(struct ss_conn *c, struct intake *k, int err, int64_t skew)
{
	k->silent = true;
	switch (err) {
	case -ERR_CLOCK:
		snprintf(c->why, sizeof(c->why),
			 "clock skew: the client's time is off by %lld s, 30 s are allowed",
			 (long long)skew);
		k->why = c->why;
		break;
	case -ERR_REPLAY:
		k->why = "a recording: this salt was seen before";
		break;
	case -ERR_AUTH:
		k->why = "not authentic: wrong key or method, or not Shadowsocks";
		break;
	default:
		k->why = "malformed request";
	}
	return err;
}

static ssize_t head_2022(struct ss_conn *c, struct intake *k, struct span in)
{
	struct in_ss *v = c->owner;
	size_t need = ss2022_head_len(&v->people.modern);
	struct ss2022_time now = {.unix_s = (uint64_t)time(NULL),
				  .mono_ms = loop_now(k->deadline.loop)};
	int64_t skew = 0;
	int err;

	if (in.n < need)
		return 0;
	pthread_mutex_lock(&v->replay_lock);
	err = ss2022_head_open(&c->served.head, &c->served.reader, &v->people.modern,
			       span_of(in.p, need), &now, v->replay, &skew);
	pthread_mutex_unlock(&v->replay_lock);
	if (err)
		return refuse(c, k, err, skew);
	c->user = (size_t)c->served.head.user;
	c->keyed = true;
	return (ssize_t)need;
}

static ssize_t target_2022(struct ss_conn *c, struct intake *k, struct span in)
{
	size_t n = c->served.head.rest;
	struct ss2022_request req;
	struct buf *b;
	int err;

	if (in.n < n)
		return 0;
	b = buf_copy(span_of(in.p, n));
	if (!b)
		return -ERR_NOMEM;
	err = ss2022_request_open(&req, &c->served.reader, b->data, n);
	if (!err) {
		c->target = req.target;
		err = bufq_append(&c->plain, req.payload);
	}
	buf_free(b);
	if (err)
		return refuse(c, k, err, 0);
	intake_finish(k);
	return (ssize_t)n;
}

static ssize_t head_classic(struct ss_conn *c, struct intake *k, struct span in)
{
	struct in_ss *v = c->owner;
	ssize_t n;

	if (in.n < ssaead_head_len(v->people.classic, v->people.n))
		return 0;
	pthread_mutex_lock(&v->replay_lock);
	n = ssaead_head_open(&c->served.reader, &c->user, v->people.classic, v->people.n, in,
			     v->replay, loop_now(k->deadline.loop));
	pthread_mutex_unlock(&v->replay_lock);
	if (n < 0)
		return refuse(c, k, (int)n, 0);
	c->served.user = v->people.classic[c->user];
	c->served.method = c->served.user.method;
	c->keyed = true;
	return n;
}

/* The next item of the stream; when the address is complete the rest is payload. */
static ssize_t target_classic(struct ss_conn *c, struct intake *k, struct span in)
{
	size_t n = ss_reader_need(&c->served.reader);
	struct buf *b;
	struct span plain;
	struct rd r;
	int err;

	if (in.n < n)
		return 0;
	b = buf_copy(span_of(in.p, n));
	if (!b)
		return -ERR_NOMEM;
	err = ss_reader_open(&c->served.reader, b->data, &plain);
	if (!err)
		err = bufq_append(&c->plain, plain);
	buf_free(b);
	if (err)
		return refuse(c, k, err, 0);
	r = rd_of(bufq_pullup(&c->plain, NETADDR_MAX));
	err = netaddr_read_socks(&r, &c->target);
	if (err < 0)
		return refuse(c, k, -ERR_MALFORMED, 0);
	if (err == 1) {
		size_t had = c->plain.len < NETADDR_MAX ? c->plain.len : NETADDR_MAX;

		bufq_drop(&c->plain, had - r.n);
		intake_finish(k);
	}
	return (ssize_t)n;
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct ss_conn *c = container_of(u, struct ss_conn, on_intake);
	bool modern = c->owner->people.method->kind == SS_2022;

	if (in.n == 0)
		return 0;
	if (!c->keyed)
		return modern ? head_2022(c, k, in) : head_classic(c, k, in);
	return modern ? target_2022(c, k, in) : target_classic(c, k, in);
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *below,
		    struct bufq *rest)
{
	struct ss_conn *c = container_of(u, struct ss_conn, on_intake);
	struct in_ss *v = c->owner;
	const struct conf_ss_user *user = &v->conf->users[c->user];
	struct conn_info info = {.source = c->source, .local = c->local};
	struct loop *l = below->loop;
	struct stream *s;
	struct flow *f;

	(void)k;
	s = ss_stream_server(below, &c->served, &c->plain, rest);
	memset(&c->served.reader, 0, sizeof(c->served.reader)); /* it went with the stream */
	f = s ? inbound_flow(&v->in, l, CONF_TCP, &info) : NULL;
	if (!f) {
		stream_close(s, -ERR_LIMIT);
	} else {
		f->origin = FLOW_FROM_SERVER;
		f->user = user->email;
		f->level = user->level;
		f->target = c->target;
		f->in = s;
		flow_dispatch(f);
	}
	conn_free(c, l);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	(void)err;
	conn_free(container_of(u, struct ss_conn, on_intake), k->deadline.loop);
}

static void ss_serve(struct inbound *in, struct stream *s, const struct conn_info *info)
{
	struct in_ss *v = container_of(in, struct in_ss, in);
	struct ss_conn *c = calloc(1, sizeof(*c));
	struct intake_terms terms = {
		.limit = INTAKE_LIMIT,
		.deadline_ms = conf_policy(in->core->conf, 0)->handshake_s * 1000ull,
		.log = &v->log,
		.source = info->source,
	};

	if (!c || !(v->conf->networks & CONF_TCP)) {
		free(c);
		stream_close(s, -ERR_NOMEM);
		return;
	}
	c->owner = v;
	c->source = info->source;
	c->local = info->local;
	c->served.method = v->people.method;
	c->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	intake_start(&c->intake, s, NULL, &terms, &c->on_intake);
}

static int ss_start(struct inbound *in)
{
	struct in_ss *v = container_of(in, struct in_ss, in);

	if (!(v->conf->networks & CONF_UDP))
		return 0;
	v->udp = in_ss_udp_start(in, v->conf, &v->people);
	return v->udp ? 0 : -ERR_SYS;
}

static void ss_stop(struct inbound *in)
{
	struct in_ss *v = container_of(in, struct in_ss, in);

	in_ss_udp_stop(v->udp);
	v->udp = NULL;
}

static void ss_free(struct inbound *in)
{
	struct in_ss *v = container_of(in, struct in_ss, in);

	ss_replay_free(v->replay);
	pthread_mutex_destroy(&v->replay_lock);
	ss_people_fini(&v->people);
	free(v);
}

static const struct inbound_ops ss_ops = {
	.protocol = "shadowsocks",
	.serve = ss_serve,
	.start = ss_start,
	.stop = ss_stop,
	.free = ss_free,
};

struct inbound *in_ss_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_ss *v = calloc(1, sizeof(*v));
	bool modern = conf_ss_is_2022(conf->ss.method);
	uint8_t seed[SS_REPLAY_SEED];

	if (!v || rand_bytes(seed, sizeof(seed)) != 0 ||
	    ss_people_init(&v->people, &conf->ss) != 0) {
		free(v);
		return NULL;
	}
	v->replay = ss_replay_new(modern ? REPLAY_MAX_2022 : REPLAY_MAX_CLASSIC,
				  modern ? SS_REPLAY_LIFETIME_MS : 0, seed);
	if (!v->replay) {
		ss_people_fini(&v->people);
		free(v);
		return NULL;
	}
	pthread_mutex_init(&v->replay_lock, NULL);
	v->in = (struct inbound){.ops = &ss_ops, .conf = conf, .core = c, .tag = conf->tag};
	v->conf = &conf->ss;
	v->log.area = "shadowsocks";
	return &v->in;
}
