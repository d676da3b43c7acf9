/* net: pipes in memory, on one loop and between two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/dgram_xpipe.h"
#include "net/stream_pipe.h"
#include "net/stream_xpipe.h"
#include "turn.h"

enum { ROOM = 10000 };

/* Both kinds keep one contract: each test runs with either. */
struct pair {
	struct loop *l;
	struct stream *end[2];
};

static void make(struct pair *p, void **state)
{
	p->l = loop_new(0);
	if (*state)
		assert_int_equal(stream_xpipe_new(p->l, p->l, ROOM, p->end), 0);
	else
		assert_int_equal(stream_pipe_new(p->l, ROOM, p->end), 0);
}

static void unmake(struct pair *p)
{
	loop_free(p->l);
	assert_int_equal(buf_live(), 0);
}

static ssize_t put(struct stream *s, const char *text)
{
	struct bufq q;
	ssize_t n;

	bufq_init(&q);
	bufq_append(&q, span_str(text));
	n = stream_write(s, &q);
	bufq_clear(&q);
	return n;
}

static ssize_t put_zeros(struct stream *s, size_t n)
{
	static const uint8_t zeros[4 * ROOM];
	struct bufq q;
	ssize_t done;

	bufq_init(&q);
	bufq_append(&q, span_of(zeros, n));
	done = stream_write(s, &q);
	bufq_clear(&q);
	return done;
}

/* Reads what comes until @n bytes are there, or the end, which is returned. */
static ssize_t get(struct pair *p, struct stream *s, char *to, size_t n)
{
	struct bufq q;
	size_t have = 0;
	ssize_t got = 0;

	bufq_init(&q);
	turn_until(p->l, (got = stream_read(s, &q, n - have)) < 0 || (have += (size_t)got) == n);
	bufq_peek(&q, to, have);
	to[have] = 0;
	bufq_clear(&q);
	return got < 0 ? got : (ssize_t)have;
}

static void bytes_pass_both_ways(void **state)
{
	struct pair p;
	char text[64];

	make(&p, state);
	assert_int_equal(put(p.end[0], "hello "), 6);
	assert_int_equal(put(p.end[0], "there"), 5);
	assert_int_equal(put(p.end[1], "and back"), 8);
	assert_int_equal(get(&p, p.end[1], text, 11), 11);
	assert_string_equal(text, "hello there");
	assert_int_equal(get(&p, p.end[0], text, 8), 8);
	assert_string_equal(text, "and back");
	stream_close(p.end[0], 0);
	stream_close(p.end[1], 0);
	unmake(&p);
}

static void room_is_bounded(void **state)
{
	struct pair p;
	char text[ROOM + 1];
	ssize_t n = 0;

	make(&p, state);
	assert_int_equal(put_zeros(p.end[0], 3 * ROOM), ROOM);
	assert_int_equal(put(p.end[0], "x"), 0);
	turn_idle(p.l);
	assert_int_equal(put(p.end[0], "x"), 0);
	assert_int_equal(get(&p, p.end[1], text, ROOM / 2), ROOM / 2);
	turn_until(p.l, (n = put_zeros(p.end[0], ROOM)) != 0);
	assert_true(n <= ROOM / 2);
	stream_close(p.end[0], 0);
	stream_close(p.end[1], 0);
	unmake(&p);
}

/* Many writes of a byte must not keep many chunks. */
static void small_writes_are_packed(void **state)
{
	struct pair p;
	struct bufq q;

	make(&p, state);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(put(p.end[0], "x"), 1);
	turn_idle(p.l);
	bufq_init(&q);
	turn_until(p.l, stream_read(p.end[1], &q, 5000) >= 0 && q.len == 5000);
	assert_true(bufq_footprint(&q) < 20000);
	bufq_clear(&q);
	stream_close(p.end[0], 0);
	stream_close(p.end[1], 0);
	unmake(&p);
}

static void half_close(void **state)
{
	struct pair p;
	char text[64];

	make(&p, state);
	put(p.end[0], "question");
	stream_shutdown(p.end[0]);
	assert_int_equal(put(p.end[0], "more"), -ERR_RESET);
	assert_int_equal(get(&p, p.end[1], text, 60), -ERR_EOF);
	assert_string_equal(text, "question");
	assert_int_equal(put(p.end[1], "answer"), 6);
	stream_close(p.end[1], 0);
	assert_int_equal(get(&p, p.end[0], text, 60), -ERR_END);
	assert_string_equal(text, "answer");
	stream_close(p.end[0], 0);
	unmake(&p);
}

static void orderly_close_delivers(void **state)
{
	struct pair p;
	char text[64];

	make(&p, state);
	put(p.end[0], "last words");
	stream_close(p.end[0], 0);
	assert_int_equal(get(&p, p.end[1], text, 60), -ERR_END);
	assert_string_equal(text, "last words");
	assert_int_equal(put(p.end[1], "x"), -ERR_RESET);
	stream_close(p.end[1], 0);
	unmake(&p);
}

static void fault_resets(void **state)
{
	struct pair p;
	char text[64];

	make(&p, state);
	put(p.end[0], "lost");
	put(p.end[1], "lost, too");
	turn_idle(p.l);
	stream_close(p.end[0], -ERR_TIMEOUT);
	turn_idle(p.l);
	assert_int_equal(get(&p, p.end[1], text, 60), -ERR_RESET);
	assert_string_equal(text, "");
	assert_int_equal(put(p.end[1], "x"), -ERR_RESET);
	stream_close(p.end[1], 0);
	unmake(&p);
}

struct counter {
	struct stream_user user;
	int reads, writes;
	bool hang_up, calm;
};

static void on_count(struct stream_user *u, struct stream *s, unsigned events)
{
	struct counter *c = container_of(u, struct counter, user);

	c->reads += (events & STREAM_READ) != 0;
	c->writes += (events & STREAM_WRITE) != 0;
	if (c->calm)
		stream_want(s, 0);
	if (c->hang_up)
		stream_close(s, 0);
}

static void interest_is_level_triggered(void **state)
{
	struct counter c = {.user.on_event = on_count};
	struct pair p;
	char text[ROOM + 1];
	int before;

	make(&p, state);
	stream_attach(p.end[1], &c.user);
	stream_want(p.end[1], STREAM_READ);
	turn_idle(p.l);
	assert_int_equal(c.reads, 0);
	put(p.end[0], "x");
	turn_until(p.l, c.reads);
	before = c.reads;
	turn_until(p.l, c.reads > before); /* it was not read: again */
	stream_want(p.end[1], 0);
	turn_idle(p.l);
	before = c.reads;
	turn_idle(p.l);
	assert_int_equal(c.reads, before);
	assert_int_equal(c.writes, 0);

	/* Room comes back. */
	c.calm = true;
	assert_int_equal(put_zeros(p.end[1], ROOM), ROOM);
	stream_want(p.end[1], STREAM_WRITE);
	turn_idle(p.l);
	assert_int_equal(c.writes, 0);
	get(&p, p.end[0], text, ROOM);
	turn_until(p.l, c.writes);

	/* The end is an event, and whoever hears it may close. */
	c.hang_up = true;
	c.reads = 0;
	get(&p, p.end[1], text, 1);
	stream_want(p.end[1], STREAM_READ);
	stream_close(p.end[0], 0);
	turn_until(p.l, c.reads);
	turn_idle(p.l);
	assert_int_equal(c.reads, 1);
	unmake(&p);
}

/* Between two threads. */

struct thread {
	pthread_t id;
	struct loop *l;
};

static atomic_int far_ends; /* objects that live on the other thread */

static void *run(void *arg)
{
	loop_run(((struct thread *)arg)->l);
	buf_thread_exit();
	return NULL;
}

static void thread_start(struct thread *t)
{
	t->l = loop_new(1);
	assert_int_equal(pthread_create(&t->id, NULL, run, t), 0);
}

static void thread_join(struct thread *t)
{
	loop_stop(t->l);
	pthread_join(t->id, NULL);
	loop_free(t->l);
}

/* Lives on the other thread: sends back what comes, and ends as the caller does. */
struct echo {
	struct post post;
	struct stream_user user;
	struct stream *s;
	struct bufq held;
	unsigned close_after; /* reads; 0: never */
	bool eof;
};

static void echo_end(struct echo *e, int err)
{
	bufq_clear(&e->held);
	stream_close(e->s, err);
	free(e);
	atomic_fetch_sub(&far_ends, 1);
}

static void on_echo(struct stream_user *u, struct stream *s, unsigned events)
{
	struct echo *e = container_of(u, struct echo, user);
	ssize_t got = 0;

	(void)events;
	if (!e->eof && bufq_empty(&e->held))
		got = stream_read(s, &e->held, 7000);
	if (got == -ERR_EOF)
		e->eof = true;
	else if (got < 0 || (e->close_after && --e->close_after == 0)) {
		echo_end(e, got < 0 ? 0 : e->close_after % 2 ? -ERR_CLOSED : 0);
		return;
	}
	if (!bufq_empty(&e->held) && stream_write(s, &e->held) < 0) {
		echo_end(e, 0);
		return;
	}
	if (e->eof && bufq_empty(&e->held)) {
		echo_end(e, 0);
		return;
	}
	stream_want(s, bufq_empty(&e->held) ? STREAM_READ : STREAM_WRITE);
}

static void on_hand_over(struct loop *l, struct post *p)
{
	struct echo *e = container_of(p, struct echo, post);

	(void)l;
	e->user.on_event = on_echo;
	stream_attach(e->s, &e->user);
	stream_want(e->s, STREAM_READ);
}

static struct stream *echo_start(struct loop *here, struct thread *there, unsigned close_after)
{
	struct echo *e = calloc(1, sizeof(*e));
	struct stream *end[2];

	assert_int_equal(stream_xpipe_new(here, there->l, 50000, end), 0);
	e->s = end[1];
	e->close_after = close_after;
	bufq_init(&e->held);
	e->post.run = on_hand_over;
	atomic_fetch_add(&far_ends, 1);
	loop_post(there->l, &e->post);
	return end[0];
}

/* Sends a numbered sequence through and compares what returns. */
struct talker {
	struct stream_user user;
	struct stream *s;
	struct bufq out;
	uint32_t sent, seen, total;
	int end;
	unsigned seed;
};

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static void talk_out(struct talker *t)
{
	while (t->sent < t->total && t->out.len < 20000) {
		uint8_t piece[3000];
		size_t n = 1 + (size_t)rand_r(&t->seed) % sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(t->sent + (uint32_t)i);
		if (n > t->total - t->sent)
			n = t->total - t->sent;
		bufq_append(&t->out, span_of(piece, n));
		t->sent += (uint32_t)n;
	}
}

static void on_talk(struct stream_user *u, struct stream *s, unsigned events)
{
	struct talker *t = container_of(u, struct talker, user);
	struct bufq in;
	ssize_t got;

	bufq_init(&in);
	if (events & STREAM_READ) {
		got = stream_read(s, &in, 1 + (size_t)rand_r(&t->seed) % 30000);
		while (!bufq_empty(&in)) {
			struct buf *b = bufq_pop(&in);

			for (size_t i = 0; i < b->len; i++)
				if (b->data[i] != byte_at(t->seen++))
					fail_msg("byte %u differs", t->seen - 1);
			buf_free(b);
		}
		if (got < 0) {
			t->end = (int)got;
			stream_want(s, 0);
			return;
		}
	}
	talk_out(t);
	if (!bufq_empty(&t->out) && stream_write(s, &t->out) < 0)
		bufq_clear(&t->out);
	if (t->sent == t->total && bufq_empty(&t->out))
		stream_shutdown(s);
	stream_want(s, STREAM_READ | (bufq_empty(&t->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void talker_start(struct talker *t, struct stream *s, uint32_t total)
{
	*t = (struct talker){.user.on_event = on_talk, .s = s, .total = total, .seed = total};
	bufq_init(&t->out);
	stream_attach(s, &t->user);
	stream_want(s, STREAM_READ | STREAM_WRITE);
}

static void megabytes_between_threads(void **state)
{
	struct loop *l = loop_new(0);
	struct thread there;
	struct talker t[3];

	(void)state;
	thread_start(&there);
	for (unsigned i = 0; i < 3; i++)
		talker_start(&t[i], echo_start(l, &there, 0), 3000000 + i);
	turn_until(l, t[0].end && t[1].end && t[2].end);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(t[i].end, -ERR_END);
		assert_int_equal(t[i].seen, t[i].total);
		stream_close(t[i].s, 0);
	}
	thread_join(&there);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

/* Ends are closed by either side at any moment: nothing may be lost, freed twice or touched late.
 */
static void closing_races(void **state)
{
	struct loop *l = loop_new(0);
	struct thread there;
	struct talker t[8];
	unsigned seed = 1;

	(void)state;
	thread_start(&there);
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned i = 0; i < 8; i++)
			talker_start(&t[i], echo_start(l, &there, (unsigned)rand_r(&seed) % 12),
				     100000);
		for (int n = rand_r(&seed) % 40; n > 0; n--)
			ev_run(loop_ev(l), EVRUN_NOWAIT);
		for (unsigned i = 0; i < 8; i++) {
			bufq_clear(&t[i].out);
			stream_close(t[i].s, i % 2 ? -ERR_CLOSED : 0);
		}
	}
	/* The other side hears of it; the pipes go with the last of the two. */
	turn_until(l, atomic_load(&far_ends) == 0);
	thread_join(&there);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

/* Datagrams. */

struct far {
	struct post post;
	struct dgram_user user;
	struct dgram *d;
	unsigned hang_up_at, n;
};

static void on_far_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			  struct buf *pkt)
{
	struct far *f = container_of(u, struct far, user);

	dgram_send(d, from, pkt);
	if (f->hang_up_at && ++f->n == f->hang_up_at) {
		dgram_close(d, -ERR_TIMEOUT);
		free(f);
		atomic_fetch_sub(&far_ends, 1);
	}
}

static void on_far_end(struct dgram_user *u, struct dgram *d, int err)
{
	assert_int_equal(err, -ERR_END);
	dgram_close(d, 0);
	free(container_of(u, struct far, user));
	atomic_fetch_sub(&far_ends, 1);
}

static void on_far_start(struct loop *l, struct post *p)
{
	struct far *f = container_of(p, struct far, post);

	(void)l;
	f->user.on_packet = on_far_packet;
	f->user.on_end = on_far_end;
	dgram_attach(f->d, &f->user);
}

static struct dgram *far_start(struct loop *here, struct thread *there, unsigned hang_up_at)
{
	struct far *f = calloc(1, sizeof(*f));
	struct dgram *end[2];

	assert_int_equal(dgram_xpipe_new(here, there->l, end), 0);
	f->d = end[1];
	f->hang_up_at = hang_up_at;
	f->post.run = on_far_start;
	atomic_fetch_add(&far_ends, 1);
	loop_post(there->l, &f->post);
	return end[0];
}

struct near {
	struct dgram_user user;
	unsigned n, last;
	int end;
};

static void on_near_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			   struct buf *pkt)
{
	struct near *k = container_of(u, struct near, user);
	struct rd r = rd_of(buf_span(pkt));
	unsigned number = rd_u32(&r);

	(void)d;
	assert_true(number > k->last); /* some may be lost, none twice or out of order */
	assert_int_equal(from->port, number & 0xffff);
	assert_string_equal(from->name, "nas.home");
	k->last = number;
	k->n++;
	buf_free(pkt);
}

static void on_near_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)d;
	container_of(u, struct near, user)->end = err;
}

static void send_number(struct dgram *d, unsigned number)
{
	struct buf *b = buf_new(4);
	struct wr w = wr_of(b->data, 4);
	struct addr to;

	wr_u32(&w, number);
	b->len = 4;
	assert_int_equal(addr_set_host(&to, span_str("nas.home"), (uint16_t)number), 0);
	dgram_send(d, &to, b);
}

static void packets_between_threads(void **state)
{
	struct near k = {.user.on_packet = on_near_packet, .user.on_end = on_near_end};
	struct loop *l = loop_new(0);
	struct thread there;
	struct dgram *d;
	unsigned number = 0;

	(void)state;
	thread_start(&there);
	d = far_start(l, &there, 0);
	dgram_attach(d, &k.user);
	while (k.n < 3000) {
		for (int i = 0; i < 20; i++)
			send_number(d, ++number);
		turn_until(l, k.n + 200 > number || k.last + 20 > number);
	}
	for (int i = 0; i < 3 * DGRAM_XPIPE_MAX; i++) /* more than is held */
		send_number(d, ++number);
	turn_until(l, k.last > number - 3 * DGRAM_XPIPE_MAX);
	dgram_close(d, 0);

	/* The far end goes first. */
	k.last = 0;
	d = far_start(l, &there, 5);
	dgram_attach(d, &k.user);
	number = 0;
	while (!k.end) {
		send_number(d, ++number);
		turn_idle(l);
	}
	assert_int_equal(k.end, -ERR_TIMEOUT);
	dgram_close(d, 0);
	turn_until(l, atomic_load(&far_ends) == 0);
	thread_join(&there);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

/* Packets and the end come before the user does. */
static void end_waits_for_the_user(void **state)
{
	struct near k = {.user.on_packet = on_near_packet, .user.on_end = on_near_end};
	struct loop *l = loop_new(0);
	struct dgram *end[2];

	(void)state;
	assert_int_equal(dgram_xpipe_new(l, l, end), 0);
	send_number(end[0], 1);
	send_number(end[0], 2);
	dgram_close(end[0], 0);
	turn_idle(l);
	dgram_attach(end[1], &k.user);
	assert_int_equal(k.n, 0);
	turn_until(l, k.end);
	assert_int_equal(k.n, 2);
	assert_int_equal(k.end, -ERR_END);
	send_number(end[1], 3);
	dgram_close(end[1], 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

#define BOTH(f)                                                                                    \
	{#f, f, NULL, NULL, NULL},                                                                 \
	{                                                                                          \
#f " (across)", f, NULL, NULL, &across                                             \
	}

int main(void)
{
	static int across;
	const struct CMUnitTest tests[] = {
		BOTH(bytes_pass_both_ways),
		BOTH(room_is_bounded),
		BOTH(small_writes_are_packed),
		BOTH(half_close),
		BOTH(orderly_close_delivers),
		BOTH(fault_resets),
		BOTH(interest_is_level_triggered),
		cmocka_unit_test(megabytes_between_threads),
		cmocka_unit_test(closing_races),
		cmocka_unit_test(packets_between_threads),
		cmocka_unit_test(end_waits_for_the_user),
	};

	return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
