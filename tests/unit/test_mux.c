/* Mux: two ends over a socket pair, and a raw peer that speaks as stock programs do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "conf/value.h"
#include "proxy/mux.h"
#include "turn.h"

/* One session's user: writes what is asked of it, reads into a counter and a checksum. */
struct end {
	struct stream_user on;
	struct stream *s;
	size_t to_send, sent, got;
	uint32_t sum_sent, sum_got;
	bool reads, fin, closed;
	int err; /* what ended reading */
	struct bufq held;
};

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	return sum;
}

static void end_fill(struct end *e)
{
	while (e->sent < e->to_send && bufq_empty(&e->held)) {
		size_t n = e->to_send - e->sent < BUF_READ ? e->to_send - e->sent : BUF_READ;
		struct buf *b = buf_new(BUF_DATA);

		for (size_t i = 0; i < n; i++)
			b->data[i] = (uint8_t)((e->sent + i) * 7 + (e->sent >> 9));
		b->len = (uint32_t)n;
		e->sum_sent = add(e->sum_sent, b->data, n);
		e->sent += n;
		bufq_push(&e->held, b);
		assert_true(stream_write(e->s, &e->held) >= 0);
	}
	if (e->sent == e->to_send && bufq_empty(&e->held) && e->fin) {
		e->fin = false;
		stream_shutdown(e->s);
	}
}

static void end_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct end *e = container_of(u, struct end, on);

	if (events & STREAM_WRITE) {
		if (!bufq_empty(&e->held) && stream_write(s, &e->held) < 0)
			bufq_clear(&e->held);
		end_fill(e);
	}
	if (events & STREAM_READ) {
		struct bufq q;
		ssize_t n;

		bufq_init(&q);
		n = stream_read(s, &q, STREAM_READ_MAX);
		if (n < 0)
			e->err = (int)n;
		for (struct buf *b = q.head; b; b = b->next) {
			e->sum_got = add(e->sum_got, b->data, b->len);
			e->got += b->len;
		}
		bufq_clear(&q);
	}
	stream_want(s, (e->reads && !e->err ? (unsigned)STREAM_READ : 0u) |
			       (bufq_empty(&e->held) ? 0u : (unsigned)STREAM_WRITE));
}

static void end_attach(struct end *e, struct stream *s)
{
	e->on.on_event = end_event;
	e->s = s;
	stream_attach(s, &e->on);
	stream_want(s, (e->reads ? (unsigned)STREAM_READ : 0u) | STREAM_WRITE);
	end_fill(e);
}

static void end_close(struct end *e)
{
	if (!e->closed)
		stream_close(e->s, 0);
	e->closed = true;
	bufq_clear(&e->held);
}

enum { SESSIONS = 100 };

struct pair {
	struct loop *l;
	struct mux *client, *server;
	struct mux_user on_client, on_server;
	struct end a[SESSIONS], b[SESSIONS]; /* b by order of arrival */
	struct mux_request last;
	unsigned n;
	bool server_reads, refuse;
	size_t server_sends;
	int client_end, server_end;
	char server_why[64];
	struct dgram *d;
	struct dgram_user on_d;
	struct buf *pkt;
	struct addr party, back; /* where a datagram came back from */
	int back_err;
};

static void pair_session(struct mux_user *u, struct mux *m, const struct mux_request *req,
			 struct stream *s, struct dgram *d)
{
	struct pair *p = container_of(u, struct pair, on_server);
	struct end *e = &p->b[p->n];

	(void)m;
	p->last = *req;
	if (d) {
		p->d = d;
		dgram_attach(d, &p->on_d);
		return;
	}
	p->n++;
	e->reads = p->server_reads;
	e->to_send = p->server_sends;
	if (p->refuse) {
		mux_give_verdict(s, -ERR_REFUSED);
		stream_close(s, -ERR_REFUSED);
		e->closed = true;
		return;
	}
	mux_give_verdict(s, 0);
	end_attach(e, s);
}

static void client_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	(void)m;
	(void)why;
	container_of(u, struct pair, on_client)->client_end = err;
}

static void server_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct pair *p = container_of(u, struct pair, on_server);

	(void)m;
	p->server_end = err;
	snprintf(p->server_why, sizeof(p->server_why), "%s", why ? why : "");
}

static void pair_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			struct buf *pkt)
{
	struct pair *p = container_of(u, struct pair, on_d);

	(void)d;
	buf_free(p->pkt);
	p->pkt = pkt;
	p->party = *from;
}

static void pair_packet_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct pair *p = container_of(u, struct pair, on_d);

	dgram_close(d, err);
	p->d = NULL;
}

static void pair_bounce(struct dgram_user *u, struct dgram *d, const struct addr *to, int err)
{
	struct pair *p = container_of(u, struct pair, on_d);

	(void)d;
	p->back = *to;
	p->back_err = err;
}

static struct pair *pair_new(bool addresses)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct mux_config c = {.role = MUX_CLIENT, .addresses = addresses};
	struct mux_config s = {.role = MUX_SERVER, .addresses = addresses};
	struct stream *one;
	int fd;

	p->l = loop_new(0);
	one = turn_pair(p->l, &fd);
	p->on_client = (struct mux_user){pair_session, client_end};
	p->on_server = (struct mux_user){pair_session, server_end};
	p->on_d = (struct dgram_user){pair_packet, pair_packet_end, NULL};
	p->client = mux_new(one, NULL, &c, &p->on_client);
	p->server = mux_new(stream_tcp_new(p->l, fd), NULL, &s, &p->on_server);
	p->server_reads = true;
	return p;
}

static void pair_free(struct pair *p)
{
	mux_close(p->client, 0);
	mux_close(p->server, 0);
	for (unsigned i = 0; i < SESSIONS; i++) {
		if (p->a[i].s)
			end_close(&p->a[i]);
		if (p->b[i].s)
			end_close(&p->b[i]);
	}
	buf_free(p->pkt);
	loop_free(p->l);
	free(p);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static struct mux_request request(unsigned net)
{
	struct mux_request r = {.net = (uint8_t)net};

	addr_parse(&r.target, span_str("10.1.2.3:80"));
	return r;
}

static void both_ways_many_sessions(void **state)
{
	struct pair *p = pair_new(false);
	struct mux_request r = request(CONF_TCP);
	unsigned done;

	(void)state;
	p->server_sends = 300000;
	for (unsigned i = 0; i < 20; i++) {
		p->a[i].reads = true;
		p->a[i].to_send = 200000 + i * 1000;
		end_attach(&p->a[i], mux_open(p->client, &r));
	}
	do {
		turn_once(p->l);
		done = 0;
		for (unsigned i = 0; i < 20; i++)
			done += p->a[i].got == 300000 && p->b[i].got == p->a[i].to_send;
	} while (done < 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(p->b[i].sum_got, p->a[i].sum_sent);
		assert_int_equal(p->a[i].sum_got, p->b[i].sum_sent);
	}
	assert_true(mux_peer_is_ours(p->client));
	assert_true(mux_peer_is_ours(p->server));
	assert_int_equal(mux_sessions(p->server), 20);
	for (unsigned i = 0; i < 20; i++)
		end_close(&p->a[i]);
	/* the peers learn of it, and their close leaves nothing behind */
	turn_until(p->l, p->b[19].err != 0);
	assert_int_equal(p->b[19].err, -ERR_END);
	for (unsigned i = 0; i < 20; i++)
		end_close(&p->b[i]);
	turn_until(p->l, mux_sessions(p->server) == 0 && mux_sessions(p->client) == 0);
	pair_free(p);
}

static void one_that_is_not_read_stalls_only_itself(void **state)
{
	struct pair *p = pair_new(false);
	struct mux_request r = request(CONF_TCP);
	unsigned done;

	(void)state;
	p->server_sends = 3 << 20;
	for (unsigned i = 0; i < SESSIONS; i++) {
		p->a[i].reads = i != 50;
		end_attach(&p->a[i], mux_open(p->client, &r));
	}
	do {
		turn_once(p->l);
		done = 0;
		for (unsigned i = 0; i < SESSIONS; i++)
			done += p->a[i].got == 3 << 20;
	} while (done < SESSIONS - 1);
	assert_int_equal(p->a[50].got, 0);
	/* its sender has stopped at the window: at most that is parked */
	assert_true(buf_live() < 2000);
	assert_int_equal(p->a[50].err, 0);
	p->a[50].reads = true;
	stream_want(p->a[50].s, STREAM_READ);
	turn_until(p->l, p->a[50].got == 3 << 20);
	assert_int_equal(p->a[50].sum_got, p->b[50].sum_sent);
	pair_free(p);
}

/*
 * A sender that is out of credit closes: its end has to wait behind its bytes. Once this made the
 * scheduler serve the session for ever, because it had an end to send.
 */
static void close_while_out_of_credit(void **state)
{
	struct pair *p = pair_new(false);
	struct mux_request r = request(CONF_TCP);
	size_t got;

	(void)state;
	p->server_sends = 3 << 20;
	p->a[0].reads = false;
	end_attach(&p->a[0], mux_open(p->client, &r));
	do { /* until the window is used up and nothing moves */
		got = p->b[0].sent;
		for (int i = 0; i < 50; i++)
			turn_idle(p->l);
	} while (p->b[0].sent != got || got == 0);
	assert_true(p->b[0].sent < p->b[0].to_send);
	end_close(&p->b[0]);
	turn_idle(p->l);
	p->a[0].reads = true;
	stream_want(p->a[0].s, STREAM_READ);
	turn_until(p->l, p->a[0].err != 0);
	assert_int_equal(p->a[0].err, -ERR_END);
	assert_true(p->a[0].got > 1 << 20);
	pair_free(p);
}

static void half_close_and_answer(void **state)
{
	struct pair *p = pair_new(false);
	struct mux_request r = request(CONF_TCP);

	(void)state;
	/* the first session teaches both ends who the other is */
	p->a[1].reads = true;
	end_attach(&p->a[1], mux_open(p->client, &r));
	turn_until(p->l, mux_peer_is_ours(p->client));
	p->a[0].reads = true;
	p->a[0].to_send = 5000;
	p->a[0].fin = true;
	end_attach(&p->a[0], mux_open(p->client, &r));
	turn_until(p->l, p->b[1].err == -ERR_EOF);
	assert_int_equal(p->b[1].got, 5000);
	p->b[1].to_send = 7000;
	end_fill(&p->b[1]);
	turn_until(p->l, p->a[0].got == 7000);
	pair_free(p);
}

struct verdict {
	struct mux_verdict v;
	int err;
	bool told;
};

static void on_verdict(struct mux_verdict *v, int err)
{
	struct verdict *k = container_of(v, struct verdict, v);

	k->told = true;
	k->err = err;
}

static void verdicts(void **state)
{
	struct pair *p = pair_new(false);
	struct mux_request r = request(CONF_TCP);
	struct verdict yes = {.v = {on_verdict}}, no = {.v = {on_verdict}};
	struct stream *s;

	(void)state;
	p->a[0].reads = true;
	end_attach(&p->a[0], mux_open(p->client, &r));
	assert_false(mux_ask_verdict(p->a[0].s, &yes.v)); /* not known to be ours yet */
	turn_until(p->l, mux_peer_is_ours(p->client));
	p->a[1].reads = true;
	end_attach(&p->a[1], mux_open(p->client, &r));
	assert_true(mux_ask_verdict(p->a[1].s, &yes.v));
	turn_until(p->l, yes.told);
	assert_int_equal(yes.err, 0);
	p->refuse = true;
	s = mux_open(p->client, &r);
	assert_true(mux_ask_verdict(s, &no.v));
	turn_until(p->l, no.told);
	assert_int_equal(no.err, -ERR_REFUSED);
	stream_close(s, 0);
	pair_free(p);
}

static void datagrams_keep_their_addresses(void **state)
{
	struct pair *p = pair_new(true);
	struct mux_request r = request(CONF_UDP);
	struct addr other;
	struct dgram *d;

	(void)state;
	r.source_net = CONF_UDP;
	ip_parse(&r.source.ip, span_str("203.0.113.7"));
	ip_parse(&r.local.ip, span_str("198.51.100.1"));
	r.source.port = 51234;
	r.local.port = 443;
	addr_parse(&other, span_str("9.9.9.9:53"));
	d = mux_open_dgram(p->client, &r);
	dgram_send(d, &r.target, buf_copy(span_str("first")));
	turn_until(p->l, p->pkt != NULL);
	assert_memory_equal(p->pkt->data, "first", 5);
	turn_until(p->l, mux_peer_is_ours(p->client)); /* that needs no TCP session */
	assert_true(ipport_eq(&p->last.source, &r.source));
	assert_true(ipport_eq(&p->last.local, &r.local));
	dgram_send(d, &other, buf_copy(span_str("second")));
	turn_until(p->l, p->pkt->len == 6);
	assert_true(addr_eq(&p->party, &other));
	dgram_close(d, 0);
	turn_until(p->l, p->d == NULL);
	pair_free(p);
}

/* The one who reaches the targets is told by ICMP, and tells the one who asked. */
static void what_comes_back_is_told(void **state)
{
	struct pair *p = pair_new(true);
	struct mux_request r = request(CONF_UDP);
	struct dgram_user asks = {pair_packet, pair_packet_end, pair_bounce};
	struct addr other;
	struct dgram *d;

	(void)state;
	addr_parse(&other, span_str("9.9.9.9:53"));
	d = mux_open_dgram(p->client, &r);
	p->on_d = asks;
	dgram_send(d, &r.target, buf_copy(span_str("first")));
	turn_until(p->l, p->d != NULL);
	dgram_attach(p->d, NULL);
	dgram_attach(d, &p->on_d);
	turn_until(p->l, mux_peer_is_ours(p->client));
	dgram_send(p->d, &other, buf_new(0)); /* empty ones, too, are datagrams */
	turn_until(p->l, p->pkt != NULL && p->pkt->len == 0);
	assert_true(addr_eq(&p->party, &other));
	dgram_bounce(p->d, &other, -ERR_REFUSED);
	turn_until(p->l, p->back_err != 0);
	assert_int_equal(p->back_err, -ERR_REFUSED);
	assert_true(addr_eq(&p->back, &other));
	dgram_bounce(p->d, &r.target, -ERR_BLOCKED);
	turn_until(p->l, p->back_err != -ERR_REFUSED);
	assert_int_equal(p->back_err, -ERR_BLOCKED);
	assert_true(addr_eq(&p->back, &r.target));
	dgram_close(d, 0);
	dgram_close(p->d, 0);
	turn_idle(p->l);
	pair_free(p);
}

/* ---- a raw peer ---- */

struct raw {
	struct pair p; /* only its server part is used */
	int fd;
};

static struct raw *raw_new(void)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct mux_config c = {.role = MUX_SERVER};
	struct stream *s;

	r->p.l = loop_new(0);
	s = turn_pair(r->p.l, &r->fd);
	r->p.on_server = (struct mux_user){pair_session, server_end};
	r->p.on_d = (struct dgram_user){pair_packet, pair_packet_end, NULL};
	r->p.server = mux_new(s, NULL, &c, &r->p.on_server);
	r->p.server_reads = true;
	return r;
}

static void raw_free(struct raw *r)
{
	mux_close(r->p.server, 0);
	for (unsigned i = 0; i < SESSIONS; i++)
		if (r->p.b[i].s)
			end_close(&r->p.b[i]);
	buf_free(r->p.pkt);
	close(r->fd);
	loop_free(r->p.l);
	free(r);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static void say(struct raw *r, const char *bytes, size_t n)
{
	assert_int_equal(write(r->fd, bytes, n), n);
}

#define SAY(r, text) say(r, text, sizeof(text) - 1)

static void expect(struct raw *r, const char *bytes, size_t n)
{
	char got[64];

	assert_int_equal(turn_read(r->p.l, r->fd, got, n), n);
	assert_memory_equal(got, bytes, n);
}

#define EXPECT(r, text) expect(r, text, sizeof(text) - 1)
#define NEW1 "\0\x0c\0\x01\x01\x01\x01\0\x50\x01\x0a\x01\x02\x03\0\x05hello"

static void stock_client_is_served(void **state)
{
	struct raw *r = raw_new();

	(void)state;
	r->p.server_sends = 3;
	SAY(r, NEW1);
	EXPECT(r, "\0\x04\0\x01\x02\x01\0\x03");
	turn_until(r->p.l, r->p.b[0].got == 5);
	assert_false(mux_peer_is_ours(r->p.server));
	assert_int_equal(r->p.last.target.port, 80);
	/* End with payload: the payload is thrown away, the session has ended both ways */
	SAY(r, "\0\x04\0\x01\x03\x01\0\x02zz");
	turn_until(r->p.l, r->p.b[0].err != 0);
	assert_int_equal(r->p.b[0].err, -ERR_END);
	assert_int_equal(r->p.b[0].got, 5);
	raw_free(r);
}

static void unknown_sessions_and_odd_frames(void **state)
{
	struct raw *r = raw_new();
	char got[3];

	(void)state;
	assert_int_equal(turn_read(r->p.l, r->fd, got, 0), 0);
	SAY(r, "\0\x04\0\x4d\x02\x01\0\x03xyz"); /* Keep for nobody: End, payload swallowed */
	EXPECT(r, "\0\x04");
	turn_read(r->p.l, r->fd, got, 1);
	EXPECT(r, "\x4d\x03\0");
	SAY(r, "\0\x04\0\x09\x03\x02");		  /* End for nobody: no answer */
	SAY(r, "\0\x04\0\0\x04\x01\0\x03\0\0\0"); /* KeepAlive with junk */
	SAY(r, "\0\x04\0\x07\x02\0");		  /* Keep without data, unknown: no answer */
	SAY(r, NEW1);
	turn_until(r->p.l, r->p.b[0].got == 5);
	assert_int_equal(r->p.server_end, 0);
	raw_free(r);
}

/* The last bytes of what was received: an extension is borrowed from them. */
static void extension_that_comes_alone(void **state)
{
	struct raw *r = raw_new();

	(void)state;
	SAY(r, NEW1);
	turn_until(r->p.l, r->p.b[0].got == 5);
	SAY(r, "\0\x10\0\x01\x02\0G\x01\x01\x08\0\0\0\0\0\x10\0\0");
	turn_until(r->p.l, mux_peer_is_ours(r->p.server));
	raw_free(r);
}

static void bad_frames_end_the_carrier(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"\x02\x01", 2},			     /* metadata of 513 bytes */
		{"\0\x03\0\x01\x02", 5},		     /* too short */
		{"\0\x04\0\x01\x05\0", 6},		     /* status 5 */
		{"\0\x0c\0\x01\x01\0\x03\0\x50\x01\x0a\x01\x02\x03", 14}, /* network 3 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct raw *r = raw_new();

		say(r, bad[i].p, bad[i].n);
		turn_until(r->p.l, r->p.server_end != 0);
		assert_int_equal(r->p.server_end, -ERR_MALFORMED);
		raw_free(r);
	}
}

/* A stock sender, a reader that has stopped: the session is reset, the carrier goes on. */
static void stopped_reader_of_a_stock_sender(void **state)
{
	struct raw *r = raw_new();
	char frame[8 + 8192] = {0, 4, 0, 1, 2, 1, 0x20, 0};
	size_t sent = 0;

	(void)state;
	r->p.server_reads = false;
	SAY(r, NEW1);
	turn_until(r->p.l, r->p.n == 1);
	while (r->p.b[0].err == 0 && sent < 8u << 20) {
		ssize_t n = write(r->fd, frame + sent % sizeof(frame),
				  sizeof(frame) - sent % sizeof(frame));

		if (n > 0)
			sent += (size_t)n;
		turn_idle(r->p.l);
		if (n < 0)
			turn_once(r->p.l);
		if (mux_sessions(r->p.server) && r->p.b[0].err == 0 && !r->p.b[0].reads &&
		    r->p.server_end == 0 && sent > (2u << 20)) {
			/* it reads once more: and finds the reset */
			r->p.b[0].reads = true;
			stream_want(r->p.b[0].s, STREAM_READ);
		}
	}
	assert_int_equal(r->p.b[0].err, -ERR_LIMIT);
	assert_int_equal(r->p.server_end, 0);
	raw_free(r);
}

#define PROBE "\0\x04\xff\xfe\x02\x01\0\x01\0"
#define ALIVE "\0\x04\xff\xfe\x03\0"

/* A question that is open speaks against a carrier; nothing more comes of it. */
static void asked_and_unanswered(void **state)
{
	struct raw *r = raw_new();

	(void)state;
	mux_probe(r->p.server);
	EXPECT(r, PROBE);
	assert_int_equal(mux_unanswered_ms(r->p.server), 0); /* it may not know the question */
	SAY(r, ALIVE NEW1);
	turn_until(r->p.l, r->p.n == 1);
	turn_until(r->p.l, mux_last_heard_ms(r->p.server) < loop_now(r->p.l));
	assert_int_equal(mux_unanswered_ms(r->p.server), 0);
	mux_probe(r->p.server);
	EXPECT(r, PROBE);
	turn_until(r->p.l, mux_unanswered_ms(r->p.server) > 1);
	SAY(r, "\0\x04\0\x07\x02\0"); /* any sign of life will do */
	turn_until(r->p.l, mux_unanswered_ms(r->p.server) == 0);
	assert_int_equal(r->p.server_end, 0);
	raw_free(r);
}

/* Asked to prove that it lives: one that never answers proves nothing by silence. */
static void silent_when_asked(void **state)
{
	struct raw *r = raw_new();

	(void)state;
	mux_check(r->p.server);
	EXPECT(r, PROBE);
	EXPECT(r, PROBE); /* the ordinary one, which comes after the time was over */
	assert_int_equal(r->p.server_end, 0);
	SAY(r, ALIVE NEW1);
	turn_until(r->p.l, r->p.n == 1);
	mux_check(r->p.server);
	EXPECT(r, PROBE);
	turn_until(r->p.l, r->p.server_end != 0);
	assert_int_equal(r->p.server_end, -ERR_TIMEOUT);
	assert_string_equal(r->p.server_why, "no sign of life after the network changed");
	turn_until(r->p.l, r->p.b[0].err != 0); /* its session is told */
	raw_free(r);
}

static void alive_when_asked(void **state)
{
	struct raw *r = raw_new();

	(void)state;
	mux_check(r->p.server);
	EXPECT(r, PROBE);
	SAY(r, ALIVE NEW1);
	turn_until(r->p.l, r->p.n == 1);
	mux_check(r->p.server);
	EXPECT(r, PROBE);
	SAY(r, ALIVE);
	EXPECT(r, PROBE); /* after two seconds of silence */
	assert_int_equal(r->p.server_end, 0);
	raw_free(r);
}

static void lone_xudp_session(void **state)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct mux_config c = {.role = MUX_SERVER, .xudp_single = true};
	static const struct addr nobody;
	struct addr from;

	(void)state;
	r->p.l = loop_new(0);
	r->p.on_server = (struct mux_user){pair_session, server_end};
	r->p.on_d = (struct dgram_user){pair_packet, pair_packet_end, NULL};
	r->p.server = mux_new(turn_pair(r->p.l, &r->fd), NULL, &c, &r->p.on_server);
	SAY(r, "\0\x14\0\0\x01\x01\x02\0\x35\x01\x08\x08\x08\x08\x01\x02\x03\x04\x05\x06\x07\x08"
	       "\0\x03"
	       "abc");
	turn_until(r->p.l, r->p.pkt != NULL);
	assert_memory_equal(r->p.pkt->data, "abc", 3);
	SAY(r, "\0\x0c\0\0\x02\x01\x02\0\x35\x01\x08\x08\x04\x04\0\x03"
	       "def");
	turn_until(r->p.l, memcmp(r->p.pkt->data, "def", 3) == 0);
	assert_int_equal(r->p.party.ip.b[2], 4);
	dgram_send(r->p.d, &nobody, buf_copy(span_str("yes")));
	EXPECT(r, "\0\x04\0\0\x02\x01\0\x03yes");
	addr_parse(&from, span_str("1.2.3.4:5"));
	dgram_send(r->p.d, &from, buf_copy(span_str("no")));
	EXPECT(r, "\0\x0c\0\0\x02\x01\x02\0\x05\x01\x01\x02\x03\x04\0\x02no");
	/* A stock client never hears of what comes back: the next thing that it reads is an answer. */
	dgram_bounce(r->p.d, &from, -ERR_REFUSED);
	dgram_send(r->p.d, &nobody, buf_copy(span_str("go")));
	EXPECT(r, "\0\x04\0\0\x02\x01\0\x02go");
	/* One of ours has said so, and is not answered. */
	SAY(r, "\0\x10\0\0\x02\0\x47\x01\x01\x08\0\0\0\x02\0\x10\0\0");
	turn_until(r->p.l, mux_peer_is_ours(r->p.server));
	dgram_bounce(r->p.d, &from, -ERR_REFUSED);
	EXPECT(r, "\0\x10\0\0\x02\0\x47\x01\x08\x08\x01\0\x05\x01\x01\x02\x03\x04");
	dgram_close(r->p.d, 0);
	turn_until(r->p.l, r->p.server_end != 0);
	close(r->fd);
	buf_free(r->p.pkt);
	loop_free(r->p.l);
	free(r);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

/* A stock portal mixes up the addresses of its sessions: where none is needed none is said. */
static void answers_of_the_target_bear_no_address(void **state)
{
	struct raw *r = raw_new();
	struct addr from;

	(void)state;
	SAY(r, "\0\x0c\0\x01\x01\x01\x02\0\x35\x01\x08\x08\x08\x08\0\x03"
	       "abc");
	turn_until(r->p.l, r->p.pkt != NULL);
	addr_parse(&from, span_str("8.8.8.8:53"));
	dgram_send(r->p.d, &from, buf_copy(span_str("yes")));
	EXPECT(r, "\0\x04\0\x01\x02\x01\0\x03yes");
	addr_parse(&from, span_str("8.8.8.8:54"));
	dgram_send(r->p.d, &from, buf_copy(span_str("no")));
	EXPECT(r, "\0\x0c\0\x01\x02\x01\x02\0\x36\x01\x08\x08\x08\x08\0\x02no");
	dgram_close(r->p.d, 0);
	raw_free(r);
}

/* Some peers end the carrier over a datagram that they have no room for. */
static void datagrams_may_be_too_long(void **state)
{
	struct raw *r = raw_new();
	static const struct addr nobody;
	struct buf *big = buf_new_big(2049);

	(void)state;
	SAY(r, "\0\x0c\0\x01\x01\x01\x02\0\x35\x01\x08\x08\x08\x08\0\x03"
	       "abc");
	turn_until(r->p.l, r->p.pkt != NULL);
	mux_limit_dgrams(r->p.server, 2048);
	memset(big->data, 'x', 2049);
	big->len = 2049;
	dgram_send(r->p.d, &nobody, big);
	dgram_send(r->p.d, &nobody, buf_copy(span_str("yes")));
	EXPECT(r, "\0\x04\0\x01\x02\x01\0\x03yes");
	dgram_close(r->p.d, 0);
	raw_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_many_sessions),
		cmocka_unit_test(one_that_is_not_read_stalls_only_itself),
		cmocka_unit_test(close_while_out_of_credit),
		cmocka_unit_test(half_close_and_answer),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(datagrams_keep_their_addresses),
		cmocka_unit_test(what_comes_back_is_told),
		cmocka_unit_test(stock_client_is_served),
		cmocka_unit_test(unknown_sessions_and_odd_frames),
		cmocka_unit_test(extension_that_comes_alone),
		cmocka_unit_test(bad_frames_end_the_carrier),
		cmocka_unit_test(stopped_reader_of_a_stock_sender),
		cmocka_unit_test(asked_and_unanswered),
		cmocka_unit_test(silent_when_asked),
		cmocka_unit_test(alive_when_asked),
		cmocka_unit_test(lone_xudp_session),
		cmocka_unit_test(datagrams_may_be_too_long),
		cmocka_unit_test(answers_of_the_target_bear_no_address),
	};

	return cmocka_run_group_tests_name("mux", tests, NULL, NULL);
}
