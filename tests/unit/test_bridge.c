/* A bridge whose network changes: the outbound is the test's, the portal a raw peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/log.h"
#include "conf/reverse.h"
#include "proxy/bridge.h"
#include "proxy/mux.h"
#include "rig.h"

#define PROBE "\0\x04\xff\xfe\x02\x01\0\x01\0"
#define ALIVE "\0\x04\xff\xfe\x03\0"

/* Keeps flows waiting, or gives them one end of a socket pair. */
struct way {
	struct outbound o;
	struct flow_opening opening;
	struct flow *waiting;
	bool holds;
	int opened, cancelled;
	int fd;
};

static void way_cancel(struct flow_opening *o)
{
	struct way *w = container_of(o, struct way, opening);

	w->waiting = NULL;
	w->cancelled++;
}

static void way_open(struct outbound *o, struct flow *f)
{
	struct way *w = container_of(o, struct way, o);

	w->opened++;
	if (!w->holds) {
		flow_connected(f, turn_pair(f->loop, &w->fd), true);
		return;
	}
	if (w->waiting) { /* one is enough for the test */
		flow_failed(f, -ERR_UNREACH, NULL);
		return;
	}
	w->waiting = f;
	f->opening = &w->opening;
}

static void way_free(struct outbound *o)
{
	(void)o;
}

static const struct outbound_ops way_ops = {
	.protocol = "way", .open = way_open, .free = way_free};

static struct bridge *begin(struct rig *r, struct way *w, bool holds)
{
	static const struct conf_bridge conf = {.tag = "bridge", .domain = "portal.test"};
	struct bridge *b;

	rig_begin(r);
	*w = (struct way){.o = {.ops = &way_ops, .tag = "way", .core = &r->core},
			  .opening.cancel = way_cancel,
			  .holds = holds,
			  .fd = -1};
	assert_true(rig_add_out(r, &w->o));
	b = bridge_new(&r->core, &conf);
	assert_non_null(b);
	assert_ptr_equal(bridge_loop(b), r->l);
	bridge_start(b);
	return b;
}

static void end(struct rig *r, struct bridge *b)
{
	bridge_free(b);
	rig_end(r);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static void what_waits_is_given_up(void **state)
{
	struct bridge *b;
	struct way w;
	struct rig r;

	(void)state;
	b = begin(&r, &w, true);
	turn_until(r.l, w.waiting);
	bridge_network_changed(b);
	assert_int_equal(w.cancelled, 1);
	turn_until(r.l, w.waiting); /* and another one is under way */
	w.holds = false;
	bridge_network_changed(b);
	assert_int_equal(w.cancelled, 2);
	turn_until(r.l, w.fd >= 0);
	close(w.fd);
	end(&r, b);
}

static void expect_probe(struct rig *r, int fd)
{
	char got[sizeof(PROBE) - 1];

	assert_int_equal(turn_read(r->l, fd, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, PROBE, sizeof(got));
}

static void a_dead_carrier_is_replaced(void **state)
{
	struct bridge *b;
	struct way w;
	struct rig r;
	int fd;

	(void)state;
	b = begin(&r, &w, false);
	turn_until(r.l, w.fd >= 0);
	fd = w.fd;
	bridge_network_changed(b); /* the portal answers: the carrier stays */
	expect_probe(&r, fd);
	assert_true(rig_write(fd, ALIVE, sizeof(ALIVE) - 1));
	expect_probe(&r, fd); /* the ordinary one, after two seconds */
	assert_int_equal(w.opened, 1);
	assert_true(rig_write(fd, ALIVE, sizeof(ALIVE) - 1));
	turn_idle(r.l);
	bridge_network_changed(b); /* and now it does not */
	expect_probe(&r, fd);
	turn_until(r.l, w.opened == 2);
	assert_true(w.fd != fd);
	close(fd);
	close(w.fd);
	end(&r, b);
}

int main(void)
{
	const struct log_setup quiet = {.level = LOG_NONE, .access_off = true};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_given_up),
		cmocka_unit_test(a_dead_carrier_is_replaced),
	};

	log_open(&quiet);
	return cmocka_run_group_tests_name("bridge", tests, NULL, NULL);
}
