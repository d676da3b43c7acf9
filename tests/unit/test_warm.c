/* Connections that are opened in advance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "flow/warm.h"
#include "rig.h"

struct world {
	struct rig r;
	struct addr server;
	struct dialer *dialer;
	struct warm *warm;
	int lfd;
};

static void begin(struct world *w, unsigned n)
{
	struct ipport at;

	memset(w, 0, sizeof(*w));
	rig_begin(&w->r);
	w->lfd = rig_target(SOCK_STREAM, &at);
	w->server = addr_from_ipport(&at);
	w->dialer = dialer_new(&w->r.core, &w->r.out_conf[0]);
	w->warm = warm_new(&w->r.core, w->dialer, &w->server, n);
	assert_non_null(w->warm);
}

static void end(struct world *w)
{
	warm_free(w->warm);
	turn_idle(w->r.l);
	dialer_free(w->dialer);
	close(w->lfd);
	assert_int_equal(rig_end(&w->r), 0);
}

/* Nobody knocks any more. */
static bool is_quiet(struct world *w)
{
	turn_idle(w->r.l);
	return accept4(w->lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) == -1;
}

static void test_kept_and_replaced(void **state)
{
	struct world w;
	struct stream *s;
	int c[3];

	(void)state;
	begin(&w, 2);
	assert_true(is_quiet(&w)); /* nothing before it is in use */
	assert_null(warm_take(w.warm, w.r.l));
	c[0] = rig_accept(&w.r, w.lfd);
	c[1] = rig_accept(&w.r, w.lfd);
	assert_true(is_quiet(&w));
	turn_until(w.r.l, (s = warm_take(w.warm, w.r.l)));
	c[2] = rig_accept(&w.r, w.lfd); /* in its place */
	assert_true(is_quiet(&w));
	stream_close(s, 0);
	for (int i = 0; i < 3; i++)
		close(c[i]);
	end(&w);
}

static void test_closed_by_the_server(void **state)
{
	struct world w;
	int c;

	(void)state;
	begin(&w, 1);
	assert_null(warm_take(w.warm, w.r.l));
	c = rig_accept(&w.r, w.lfd);
	turn_idle(w.r.l);
	close(c);
	turn_idle(w.r.l);
	assert_null(warm_take(w.warm, w.r.l)); /* not a dead one */
	assert_true(is_quiet(&w));	       /* and no other at once */
	end(&w);
}

static void test_server_that_speaks(void **state)
{
	struct world w;
	int c;

	(void)state;
	begin(&w, 1);
	assert_null(warm_take(w.warm, w.r.l));
	c = rig_accept(&w.r, w.lfd);
	assert_true(rig_write(c, "220 hello", 9));
	assert_true(turn_ends(w.r.l, c));
	assert_null(warm_take(w.warm, w.r.l));
	close(c);
	end(&w);
}

static void test_another_network(void **state)
{
	struct world w;
	int c;

	(void)state;
	begin(&w, 1);
	assert_null(warm_take(w.warm, w.r.l));
	c = rig_accept(&w.r, w.lfd);
	turn_idle(w.r.l);
	atomic_fetch_add(&w.r.core.network, 1);
	assert_null(warm_take(w.warm, w.r.l));
	close(c);
	c = rig_accept(&w.r, w.lfd);
	close(c);
	end(&w);
}

static void test_nobody_there(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 4);
	close(w.lfd);
	for (int i = 0; i < 5; i++) {
		assert_null(warm_take(w.warm, w.r.l));
		turn_idle(w.r.l);
	}
	w.lfd = -1;
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_and_replaced),
		cmocka_unit_test(test_closed_by_the_server),
		cmocka_unit_test(test_server_that_speaks),
		cmocka_unit_test(test_another_network),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
