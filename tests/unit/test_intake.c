/* The conversation helper, with a toy protocol: "a" asks for "b", "q" ends it, "x" is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proxy/drain.h"
#include "proxy/intake.h"
#include "turn.h"

struct talk {
	struct intake intake;
	struct intake_user user;
	struct stream *s;
	struct bufq rest;
	int err;
	bool over, silent, saw_eof;
	unsigned calls;
};

static ssize_t decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct talk *t = container_of(u, struct talk, user);

	t->calls++;
	t->saw_eof |= k->eof;
	if (in.n == 0)
		return 0;
	switch (in.p[0]) {
	case 'a':
		if (in.n < 2)
			return 0;
		intake_say(k, span_str("b"));
		return 2;
	case 'q':
		intake_say(k, span_str("bye"));
		intake_finish(k);
		return 1;
	case 'w':
		return 0;
	default:
		if (t->silent)
			k->silent = true;
		else
			intake_say(k, span_str("no"));
		k->why = "not our letter";
		return -ERR_MALFORMED;
	}
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct talk *t = container_of(u, struct talk, user);

	(void)k;
	t->s = s;
	bufq_move(&t->rest, rest, 3);
	t->over = true;
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	struct talk *t = container_of(u, struct talk, user);

	(void)k;
	t->err = err;
	t->over = true;
}

struct room {
	struct loop *l;
	int peer;
	struct talk t;
};

static void begin(struct room *r, struct bufq *early, uint64_t deadline_ms)
{
	struct intake_terms terms = {.limit = 16, .deadline_ms = deadline_ms};

	r->t = (struct talk){.user = {decode, on_done, on_failed}};
	r->l = loop_new(0);
	assert_non_null(r->l);
	intake_start(&r->t.intake, turn_pair(r->l, &r->peer), early, &terms, &r->t.user);
}

static void finish(struct room *r)
{
	stream_close(r->t.s, 0);
	bufq_clear(&r->t.rest);
	if (r->peer >= 0)
		close(r->peer);
	loop_free(r->l);
	assert_int_equal(buf_live(), 0);
}

static void say(struct room *r, const char *text)
{
	assert_int_equal(write(r->peer, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_whole_dialogue_and_the_rest(void **state)
{
	struct room r;
	char got[8] = "";

	(void)state;
	begin(&r, NULL, 60000);
	say(&r, "a");
	turn_once(r.l);
	assert_false(r.t.over);
	say(&r, "1a2qrest");
	assert_int_equal(turn_read(r.l, r.peer, got, 5), 5);
	assert_string_equal(got, "bbbye");
	turn_until(r.l, r.t.over);
	assert_non_null(r.t.s);
	assert_int_equal(r.t.rest.len, 3);
	assert_memory_equal(bufq_pullup(&r.t.rest, 3).p, "res", 3); /* the fourth byte is freed */
	finish(&r);
}

static void test_early_bytes_count(void **state)
{
	struct bufq early;
	struct room r;

	(void)state;
	bufq_init(&early);
	assert_int_equal(bufq_append(&early, span_str("a1q")), 0);
	begin(&r, &early, 60000);
	assert_false(r.t.over); /* never from inside */
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, 0);
	finish(&r);
}

static void test_refusal_is_heard_before_the_close(void **state)
{
	struct room r;
	char got[4] = "";

	(void)state;
	begin(&r, NULL, 60000);
	say(&r, "xyz");
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, -ERR_MALFORMED);
	say(&r, "bytes that nobody reads");
	assert_int_equal(turn_read(r.l, r.peer, got, 2), 2);
	assert_string_equal(got, "no");
	assert_true(turn_ends(r.l, r.peer));
	finish(&r);
}

static void test_limit_and_end_of_stream(void **state)
{
	struct room r;

	(void)state;
	begin(&r, NULL, 60000);
	say(&r, "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, -ERR_LIMIT);
	finish(&r);

	begin(&r, NULL, 60000);
	say(&r, "w");
	shutdown(r.peer, SHUT_WR);
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, -ERR_EOF);
	assert_true(r.t.saw_eof);
	finish(&r);
}

static void test_deadline(void **state)
{
	struct room r;

	(void)state;
	begin(&r, NULL, 5);
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, -ERR_TIMEOUT);
	assert_true(turn_ends(r.l, r.peer));
	finish(&r);
}

/* A prober sees the same whether its bytes were too few or wrong: nothing, then the end. */
static void test_silent_failure(void **state)
{
	struct room r;

	(void)state;
	begin(&r, NULL, 30);
	r.t.silent = true;
	say(&r, "x");
	turn_until(r.l, r.t.over);
	assert_int_equal(r.t.err, -ERR_MALFORMED);
	assert_true(turn_ends(r.l, r.peer));
	finish(&r);
}

static void test_cancel_calls_nobody(void **state)
{
	struct room r;

	(void)state;
	begin(&r, NULL, 60000);
	say(&r, "a");
	turn_once(r.l);
	intake_cancel(&r.t.intake, -ERR_CLOSED);
	intake_cancel(&r.t.intake, -ERR_CLOSED);
	turn_idle(r.l);
	assert_false(r.t.over);
	finish(&r);
}

static void test_end_of_loop_ends_all(void **state)
{
	struct room r;
	struct bufq last;
	int other;

	(void)state;
	begin(&r, NULL, 60000);
	bufq_init(&last);
	assert_int_equal(bufq_append(&last, span_str("gone")), 0);
	drain_start(turn_pair(r.l, &other), &last, true, 60000);
	loop_stop(r.l);
	loop_run(r.l);
	assert_true(r.t.over);
	assert_int_equal(r.t.err, -ERR_CLOSED);
	close(other);
	finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_dialogue_and_the_rest),
		cmocka_unit_test(test_early_bytes_count),
		cmocka_unit_test(test_refusal_is_heard_before_the_close),
		cmocka_unit_test(test_limit_and_end_of_stream),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_silent_failure),
		cmocka_unit_test(test_cancel_calls_nobody),
		cmocka_unit_test(test_end_of_loop_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
