/* The credit window of a session: whom it gives more, from whom it takes, and that the sums hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/mux_window.h"

enum { MS = 1000, HELPING = 64000 };

/* A session of a carrier, whose reader gets a helping each @us and finds nothing there for @dry_us
 * of them. */
struct reader {
	struct mux_window w;
	struct mux_pace pace;
	uint64_t us, dry_us;
	uint64_t allowed; /* what its sender may have sent in all */
	bool lags;
};

static void begin(struct reader *r, uint64_t us, uint64_t dry_us, uint32_t rtt_ms)
{
	*r = (struct reader){.pace = {.now_us = 1u << 30, .rtt_ms = rtt_ms}, .us = us, .dry_us = dry_us};
	mux_window_open(&r->w, &r->pace);
	r->allowed = MUX_WINDOW_FIRST;
}

static void read_on(struct reader *r, size_t bytes)
{
	for (size_t n = 0; n < bytes; n += HELPING) {
		r->pace.now_us += r->us;
		r->pace.dry_us += r->dry_us;
		r->w.consumed += HELPING;
		if (mux_window_is_low(&r->w))
			r->allowed += mux_window_renew(&r->w, !r->lags, &r->pace);
		assert_int_equal(r->allowed, r->w.granted);
		assert_true(r->allowed > r->w.consumed);
	}
}

static void a_line_is_filled(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 10 * MS, 9 * MS, 0);
	read_on(&r, 32 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_MAX);
	assert_true(mux_window_left(&r.w) >= MUX_WINDOW_MAX / 2);
}

static void a_reader_that_lags_gets_no_more(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 10 * MS, 9 * MS, 0);
	r.lags = true;
	read_on(&r, 32 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_FIRST);
}

/* 90 MB/s and never dry: 5 ms are 450 KB. */
static void a_queue_is_taken_back(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 700, 0, 0);
	read_on(&r, 16 << 20);
	assert_int_equal(r.w.size, 256 << 10);
	assert_true(mux_window_left(&r.w) <= 256 << 10);
	/* much slower yet */
	r.us = 100 * MS;
	read_on(&r, 16 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_MIN);
	/* and the other way: now the line is the slow part */
	r.dry_us = 90 * MS;
	read_on(&r, 64 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_MAX);
}

static void a_fast_reader_keeps_what_it_has(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 250, 0, 0); /* a MiB in 4 ms */
	read_on(&r, 64 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_FIRST);
}

/* The window of a long line is not a queue, even when its reader is as slow as the line. */
static void a_long_line_is_not_a_queue(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 2 * MS, 2 * MS, 40);
	read_on(&r, 32 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_MAX);
	r.dry_us = 0; /* 2 MiB are read in 66 ms */
	read_on(&r, 64 << 20);
	assert_int_equal(r.w.size, 2 << 20);
}

static void dry_now_and_then_changes_nothing(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 4 * MS, 1 * MS, 0);
	read_on(&r, 64 << 20);
	assert_int_equal(r.w.size, MUX_WINDOW_FIRST);
}

/* It had not heard of the window when it began. */
static void a_sender_that_was_ahead(void **state)
{
	struct reader r;

	(void)state;
	begin(&r, 10 * MS, 9 * MS, 0);
	r.w.consumed = 3 << 20;
	assert_int_equal(mux_window_left(&r.w), 0);
	assert_true(mux_window_is_low(&r.w));
	r.allowed += mux_window_renew(&r.w, true, &r.pace);
	assert_int_equal(r.allowed, r.w.granted);
	assert_int_equal(mux_window_left(&r.w), r.w.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_filled),
		cmocka_unit_test(a_reader_that_lags_gets_no_more),
		cmocka_unit_test(a_queue_is_taken_back),
		cmocka_unit_test(a_fast_reader_keeps_what_it_has),
		cmocka_unit_test(a_long_line_is_not_a_queue),
		cmocka_unit_test(dry_now_and_then_changes_nothing),
		cmocka_unit_test(a_sender_that_was_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
