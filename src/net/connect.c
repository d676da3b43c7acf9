/*
 * One connect is a chain of tries; one try is: resolve, order the addresses,
 * open attempts until one answers.
 *
 *   begin -> RESOLVING -> DIALLING -> finish
 *              |             |
 *              +-- failed ---+-> PAUSING -> begin (while tries are left)
 *
 * Everything runs from the loop: connect_start only asks for a first call. The
 * deadline timer bounds RESOLVING and DIALLING together; the step timer starts
 * the next address, or ends the pause.
 */
#include "net/connect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "net/ledger.h"
#include "net/sock_unix.h"
#include "net/stream_tcp.h"

enum { UNIX_RETRY_MS = 20 }; /* the listener's queue is full: no event tells when it is not */

struct attempt {
	struct connect *c;
	struct watch watch;
	struct ipport to;
	struct ipport from; /* this end, where our own dials are noted; else no port */
	bool live;
};

/* How the addresses of a name are gone through. */
struct eyes {
	uint32_t stagger_ms;
	uint32_t interleave; /* addresses of the first family before the other's turn */
	uint32_t parallel;
	uint8_t first; /* 4 or 6; 0: the family of the first address */
};

enum state {
	STATE_IDLE = 0, /* begin was asked for */
	STATE_RESOLVING,
	STATE_DIALLING,
	STATE_PAUSING,
	STATE_DONE, /* the user knows, or does not want to */
};

struct connect {
	struct loop *loop;
	struct resolver *resolver;
	struct connect_user *user;
	struct connect_req req;
	struct eyes eyes;
	struct sock_unix unix_at;
	bool is_unix;
	char path[128]; /* for messages; the caller's text need not live */
	enum state state;
	unsigned tried;
	struct defer begin;
	struct timer deadline, step;
	struct resolve_req query;
	struct ip ip[RESOLVE_MAX]; /* in the order of trying */
	unsigned n, next, live;
	struct attempt attempt[CONNECT_PARALLEL];
	int err; /* the most telling failure of this try */
	char why[NET_WHY_MAX];
	struct garbage garbage;
};

static void next_attempt(struct connect *c);

static void destroy(struct garbage *g)
{
	free(container_of(g, struct connect, garbage));
}

/* Should its first packet come back to us, whoever gets it shall know whose it is. */
static void note_dial(struct attempt *a)
{
	struct ledger *ledger = loop_ledger(a->c->loop);

	if (ledger && sock_local(a->watch.io.fd, &a->from) == 0)
		ledger_add_dial(ledger, CONF_TCP, &a->from, &a->to);
}

static void forget_dial(struct attempt *a)
{
	ledger_del_dial(loop_ledger(a->c->loop), CONF_TCP, &a->from, &a->to);
	a->from.port = 0;
}

static void drop_attempt(struct attempt *a)
{
	if (!a->live)
		return;
	watch_set(&a->watch, 0);
	forget_dial(a);
	close(a->watch.io.fd);
	a->live = false;
	a->c->live--;
}

static void stop_all(struct connect *c)
{
	defer_cancel(&c->begin);
	timer_stop(&c->deadline);
	timer_stop(&c->step);
	resolve_cancel(&c->query);
	for (unsigned i = 0; i < CONNECT_PARALLEL; i++)
		drop_attempt(&c->attempt[i]);
}

static void retire(struct connect *c)
{
	stop_all(c);
	c->state = STATE_DONE;
	c->garbage.destroy = destroy;
	loop_free_later(c->loop, &c->garbage);
}

static void finish(struct connect *c, const struct connect_result *res)
{
	retire(c);
	c->user->on_connect(c->user, c, res);
}

/* Of several addresses' failures the one is told that says most about the host. */
static int rank(int err)
{
	switch (-err) {
	case ERR_REFUSED:
		return 4;
	case ERR_RESET:
		return 3;
	case ERR_TIMEOUT:
		return 2;
	case ERR_UNREACH:
		return 1;
	default:
		return 0;
	}
}

/* True when the failure becomes the one to tell; its words are then the caller's to write. */
static bool note(struct connect *c, int err)
{
	if (c->err && rank(err) <= rank(c->err))
		return false;
	c->err = err;
	return true;
}

static void note_fail(struct connect *c, const struct ipport *to, int err,
		      const struct sock_fail *f)
{
	char at[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 16];

	if (!note(c, err))
		return;
	if (to)
		snprintf(what, sizeof(what), "dial tcp %s", ipport_text(to, at, sizeof(at)));
	else
		snprintf(what, sizeof(what), "dial unix %s", c->path);
	sock_fail_text(f, what, c->why, sizeof(c->why));
}

static void fail_try(struct connect *c)
{
	struct connect_result res = {.err = c->err, .why = c->why};

	stop_all(c);
	if (c->tried < c->req.tries) {
		c->state = STATE_PAUSING;
		timer_start(&c->step, (uint64_t)c->tried * CONNECT_PAUSE_MS);
		return;
	}
	finish(c, &res);
}

/* Takes @fd. */
static void win(struct connect *c, int fd, const struct ipport *to)
{
	struct connect_result res = {0};

	if (to)
		res.remote = *to;
	sock_local(fd, &res.local);
	res.stream = stream_tcp_new(c->loop, fd);
	if (!res.stream) {
		res.err = -ERR_NOMEM;
		res.why = err_name(ERR_NOMEM);
	}
	finish(c, &res);
}

static void attempt_ended(struct attempt *a, int sys)
{
	struct sock_fail f = {"connect", sys};
	struct connect *c = a->c;
	struct ipport local;

	/* A port of our own range may answer itself (simultaneous open): nobody is there. */
	if (sys == 0 && sock_local(a->watch.io.fd, &local) == 0 && ipport_eq(&local, &a->to))
		f.sys = sys = ECONNREFUSED;
	if (sys == 0) {
		int fd = a->watch.io.fd;

		watch_set(&a->watch, 0);
		forget_dial(a);
		a->live = false;
		c->live--;
		win(c, fd, &a->to);
		return;
	}
	drop_attempt(a);
	/* A router on the way forbids it (ICMPv6, code 1): to whoever waits, no way there. */
	note_fail(c, &a->to, sys == EACCES ? -ERR_UNREACH : -(int)err_from_errno(sys), &f);
	next_attempt(c);
}

static void on_ready(struct watch *w, unsigned events)
{
	struct attempt *a = container_of(w, struct attempt, watch);

	(void)events;
	attempt_ended(a, sock_error(w->io.fd));
}

static struct attempt *free_attempt(struct connect *c)
{
	for (unsigned i = 0; i < c->eyes.parallel; i++)
		if (!c->attempt[i].live)
			return &c->attempt[i];
	return NULL;
}

/* 0 when it is under way, 1 when it is connected (and @c is gone), -ERR_* noted. */
static int open_attempt(struct connect *c, struct attempt *a, const struct ip *ip)
{
	struct sockaddr_storage sa;
	struct sock_fail f;
	socklen_t len;
	int fd;

	a->to = (struct ipport){*ip, c->req.to.port};
	fd = sock_dial(SOCK_NET_TCP, ip->family, &c->req.local, c->req.opts, &f);
	if (fd < 0) {
		note_fail(c, &a->to, fd, &f);
		return fd;
	}
	watch_init(&a->watch, c->loop, fd, on_ready);
	a->live = true;
	c->live++;
	len = ipport_to_sockaddr(&a->to, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) == 0) { /* with fast open */
		attempt_ended(a, 0);
		return 1;
	}
	if (errno != EINPROGRESS) {
		int err = -(int)err_from_errno(errno);

		f = (struct sock_fail){"connect", errno};
		drop_attempt(a);
		note_fail(c, &a->to, err, &f);
		return err;
	}
	note_dial(a);
	watch_set(&a->watch, WATCH_WRITE);
	return 0;
}

static void next_attempt(struct connect *c)
{
	struct attempt *a;

	while (c->next < c->n && (a = free_attempt(c)) != NULL) {
		int got = open_attempt(c, a, &c->ip[c->next++]);

		if (got > 0)
			return;
		if (got == 0) {
			if (c->next < c->n)
				timer_start(&c->step, c->eyes.stagger_ms);
			return;
		}
	}
	if (c->live == 0)
		fail_try(c);
}

static void dial_unix(struct connect *c)
{
	struct sock_fail f;
	int fd = sock_unix_dial(&f);

	if (fd < 0) {
		note_fail(c, NULL, fd, &f);
		fail_try(c);
		return;
	}
	if (connect(fd, (struct sockaddr *)&c->unix_at.sa, c->unix_at.len) == 0) {
		win(c, fd, NULL);
		return;
	}
	f = (struct sock_fail){"connect", errno};
	close(fd);
	if (f.sys == EAGAIN) {
		timer_start(&c->step, UNIX_RETRY_MS);
		return;
	}
	/* No file is no listener. */
	note_fail(c, NULL, f.sys == ENOENT ? -ERR_REFUSED : -(int)err_from_errno(f.sys), &f);
	fail_try(c);
}

static bool may_dial(const struct connect *c, const struct ip *ip)
{
	struct connect_gate *g = c->req.gate;
	struct ipport to = {*ip, c->req.to.port};

	return !g || g->may(g, &to);
}

/* Splits by family, then takes @interleave of the first family for each one of the other. True
 * when the gate kept an address out. */
static bool order(struct connect *c, const struct resolve_result *res)
{
	const struct ip *of[2][RESOLVE_MAX];
	unsigned n[2] = {0, 0}, at[2] = {0, 0}, run = 0;
	uint8_t first = c->eyes.first;
	bool kept_out = false;

	c->n = c->next = 0;
	for (unsigned i = 0; i < res->n; i++) {
		const struct ip *ip = &res->ip[i];

		if (c->req.local.family && c->req.local.family != ip->family)
			continue;
		if (!may_dial(c, ip)) {
			kept_out = true;
			continue;
		}
		if (first == 0)
			first = ip->family;
		of[ip->family != first][n[ip->family != first]++] = ip;
	}
	while (at[0] < n[0] || at[1] < n[1]) {
		bool other = at[0] == n[0] || (run == c->eyes.interleave && at[1] < n[1]);

		run = other ? 0 : run + 1;
		c->ip[c->n++] = *of[other][at[other]++];
		if (run > c->eyes.interleave)
			run = c->eyes.interleave;
	}
	return kept_out;
}

static void dial(struct connect *c, const struct resolve_result *res)
{
	char host[ADDR_TEXT_MAX];
	bool kept_out;

	c->state = STATE_DIALLING;
	kept_out = order(c, res);
	if (c->n == 0) {
		note(c, kept_out ? -ERR_BLOCKED : -ERR_UNREACH);
		snprintf(c->why, sizeof(c->why), "dial tcp %s: %s",
			 addr_text(&c->req.to, host, sizeof(host)),
			 kept_out ? err_name(ERR_BLOCKED) :
				    "no address of the family of the local address");
		if (kept_out)
			c->tried = c->req.tries; /* asking again changes no rule */
	}
	next_attempt(c);
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct connect *c = container_of(q, struct connect, query);

	if (res->err == 0) {
		dial(c, res);
		return;
	}
	c->err = res->err;
	snprintf(c->why, sizeof(c->why), "dial tcp: %s", res->why);
	fail_try(c);
}

static void begin_try(struct connect *c)
{
	c->tried++;
	c->err = 0;
	timer_start(&c->deadline, c->req.timeout_ms);
	if (c->is_unix) {
		c->state = STATE_DIALLING;
		dial_unix(c);
	} else if (c->req.to.kind == ADDR_IP) {
		struct resolve_result res = {.n = 1, .ip = {c->req.to.ip}};

		dial(c, &res);
	} else if (c->req.to.kind == ADDR_NAME && c->resolver) {
		c->state = STATE_RESOLVING;
		/* The deadline comes first: it began earlier. */
		resolve_start(c->resolver, &c->query, c->req.to.name, c->req.strategy,
			      c->req.timeout_ms);
	} else {
		c->err = -ERR_RESOLVE;
		snprintf(c->why, sizeof(c->why), "dial tcp: missing address");
		fail_try(c);
	}
}

static void on_begin(struct defer *d)
{
	begin_try(container_of(d, struct connect, begin));
}

static void on_step(struct timer *t)
{
	struct connect *c = container_of(t, struct connect, step);

	if (c->state == STATE_PAUSING)
		begin_try(c);
	else if (c->is_unix)
		dial_unix(c);
	else
		next_attempt(c);
}

static void on_deadline(struct timer *t)
{
	struct connect *c = container_of(t, struct connect, deadline);
	char at[ADDR_TEXT_MAX];

	if (note(c, c->state == STATE_RESOLVING ? -ERR_RESOLVE : -ERR_TIMEOUT)) {
		if (c->is_unix)
			snprintf(c->why, sizeof(c->why), "dial unix %s: i/o timeout", c->path);
		else
			snprintf(c->why, sizeof(c->why), "dial tcp%s %s: i/o timeout",
				 c->state == STATE_RESOLVING ? ": lookup" : "",
				 c->state == STATE_RESOLVING
					 ? addr_host_text(&c->req.to, at, sizeof(at))
					 : addr_text(&c->req.to, at, sizeof(at)));
	}
	fail_try(c);
}

static void set_defaults(struct connect *c)
{
	const struct conf_happy_eyeballs *h = c->req.opts ? &c->req.opts->happy : NULL;

	if (c->req.timeout_ms == 0)
		c->req.timeout_ms = CONNECT_TIMEOUT_MS;
	if (c->req.tries == 0)
		c->req.tries = 1;
	c->eyes = (struct eyes){CONNECT_STAGGER_MS, 1, CONNECT_PARALLEL, 0};
	if (!h || h->delay_ms == 0)
		return;
	c->eyes.stagger_ms = h->delay_ms;
	if (h->interleave)
		c->eyes.interleave = h->interleave;
	if (h->max_concurrent && h->max_concurrent < CONNECT_PARALLEL)
		c->eyes.parallel = h->max_concurrent;
	c->eyes.first = h->prioritize6 ? 6 : 4;
}

struct connect *connect_start(struct loop *l, struct resolver *r, const struct connect_req *req,
			      struct connect_user *user)
{
	struct connect *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->resolver = r;
	c->user = user;
	c->req = *req;
	set_defaults(c);
	c->query.on_done = on_resolved;
	timer_init(&c->deadline, l, on_deadline);
	timer_init(&c->step, l, on_step);
	for (unsigned i = 0; i < CONNECT_PARALLEL; i++)
		c->attempt[i].c = c;
	if (req->path) {
		c->is_unix = true;
		c->req.path = NULL;
		snprintf(c->path, sizeof(c->path), "%s", req->path);
		if (sock_unix_parse(&c->unix_at, req->path) != 0)
			c->unix_at.len = sizeof(sa_family_t); /* connect says what is wrong */
	}
	defer_init(&c->begin, l, on_begin);
	defer_ask(&c->begin);
	return c;
}

void connect_cancel(struct connect *c)
{
	if (c && c->state != STATE_DONE)
		retire(c);
}
