/* A portal whose carriers die or fall silent while a visitor waits for the bridge's word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/log.h"
#include "conf/reverse.h"
#include "proxy/mux.h"
#include "proxy/portal.h"
#include "rig.h"

#define ALIVE "\0\x04\xff\xfe\x03\0"
/* What makes a peer one of ours: HELLO, for session 1. */
#define HELLO "\0\x10\0\x01\x02\0G\x01\x01\x08\0\0\0\0\0\x10\0\0"

enum { SEEN_MAX = 4 };

/* A bridge's end of a carrier: opens nothing, and answers only when told to. */
struct far {
	struct mux *mux;
	struct mux_user on_mux;
	struct stream *seen[SEEN_MAX];
	size_t n;
	int fd; /* or the bare end of the carrier */
	bool ended;
};

struct guest {
	struct flow_hook hook;
	int fd, verdicts, err;
};

static void on_session(struct mux_user *u, struct mux *m, const struct mux_request *req,
		       struct stream *s, struct dgram *d)
{
	struct far *f = container_of(u, struct far, on_mux);

	(void)m;
	(void)req;
	dgram_close(d, 0); /* the control session */
	if (!s)
		return;
	assert_true(f->n < SEEN_MAX);
	f->seen[f->n++] = s;
}

static void on_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct far *f = container_of(u, struct far, on_mux);

	(void)m;
	(void)err;
	(void)why;
	f->mux = NULL;
	f->ended = true;
}

static void on_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct guest *g = container_of(h, struct guest, hook);

	(void)in;
	g->verdicts++;
	g->err = err;
}

static struct outbound *begin(struct rig *r)
{
	static const struct conf_portal conf = {
		.tag = "portal", .domain = "portal.test", .control_name = ""};
	struct outbound *o;

	rig_begin(r);
	o = portal_new(&r->core, &conf);
	assert_true(rig_add_out(r, o));
	return o;
}

/* @bare: the test itself is the far end. */
static void registers(struct rig *r, struct outbound *portal, struct far *far, bool bare)
{
	struct flow *f = flow_new(&r->core, r->l, CONF_TCP);
	struct mux_config conf = {.role = MUX_SERVER};

	*far = (struct far){.on_mux = {on_session, on_end}};
	f->in = turn_pair(r->l, &far->fd);
	f->in_tag = f->user = "";
	f->out = portal;
	addr_set_host(&f->target, span_str("portal.test"), 0);
	flow_dispatch(f);
	if (bare)
		return;
	far->mux = mux_new(stream_tcp_new(r->l, far->fd), NULL, &conf, &far->on_mux);
	assert_non_null(far->mux);
}

static void visits(struct rig *r, struct outbound *portal, struct guest *g)
{
	struct flow *f = flow_new(&r->core, r->l, CONF_TCP);

	*g = (struct guest){.hook.verdict = on_verdict};
	f->in = turn_pair(r->l, &g->fd);
	f->in_tag = f->user = "";
	f->out = portal;
	f->hook = &g->hook;
	addr_set_host(&f->target, span_str("10.0.0.1"), 80);
	flow_dispatch(f);
}

static void far_end(struct far *f)
{
	for (size_t i = 0; i < f->n; i++)
		stream_close(f->seen[i], 0);
	mux_close(f->mux, 0);
	f->mux = NULL;
}

static void end(struct rig *r)
{
	rig_end(r);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static void moved_when_the_carrier_dies(void **state)
{
	struct outbound *portal;
	struct far a, b;
	struct guest g;
	struct rig r;

	(void)state;
	portal = begin(&r);
	registers(&r, portal, &a, false);
	turn_until(r.l, portal->ops->alive(portal));
	turn_idle(r.l); /* a peer is known as ours after its first answer */
	visits(&r, portal, &g);
	turn_until(r.l, a.n == 1);
	turn_idle(r.l);
	assert_int_equal(g.verdicts, 0);
	registers(&r, portal, &b, false);
	turn_idle(r.l);
	mux_close(a.mux, -ERR_RESET);
	a.mux = NULL;
	turn_until(r.l, b.n == 1);
	mux_give_verdict(b.seen[0], 0);
	turn_until(r.l, g.verdicts == 1);
	assert_int_equal(g.err, 0);
	close(g.fd);
	far_end(&a);
	far_end(&b);
	end(&r);
}

static void held_when_the_last_carrier_dies(void **state)
{
	struct outbound *portal;
	struct far a, b;
	struct guest g;
	struct rig r;

	(void)state;
	portal = begin(&r);
	registers(&r, portal, &a, true);
	assert_true(rig_write(a.fd, HELLO, sizeof(HELLO) - 1));
	turn_until(r.l, portal->ops->alive(portal));
	turn_idle(r.l);
	visits(&r, portal, &g);
	turn_idle(r.l);
	assert_int_equal(g.verdicts, 0);
	close(a.fd);
	turn_until(r.l, !portal->ops->alive(portal));
	registers(&r, portal, &b, false);
	turn_until(r.l, b.n == 1);
	mux_give_verdict(b.seen[0], 0);
	turn_until(r.l, g.verdicts == 1);
	assert_int_equal(g.err, 0);
	close(g.fd);
	far_end(&b);
	end(&r);
}

static void moved_when_the_carrier_is_silent(void **state)
{
	struct outbound *portal;
	struct far a, b;
	struct guest g;
	struct rig r;

	(void)state;
	portal = begin(&r);
	registers(&r, portal, &a, true);
	assert_true(rig_write(a.fd, HELLO, sizeof(HELLO) - 1));
	turn_until(r.l, portal->ops->alive(portal));
	visits(&r, portal, &g);
	turn_idle(r.l);
	registers(&r, portal, &b, false); /* thereby a is asked, and answers this once */
	turn_idle(r.l);
	assert_true(rig_write(a.fd, ALIVE, sizeof(ALIVE) - 1));
	turn_until(r.l, b.n == 1);
	mux_give_verdict(b.seen[0], 0);
	turn_until(r.l, g.verdicts == 1);
	assert_int_equal(g.err, 0);
	close(g.fd);
	close(a.fd);
	far_end(&b);
	end(&r);
}

int main(void)
{
	const struct log_setup quiet = {.level = LOG_NONE, .access_off = true};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved_when_the_carrier_dies),
		cmocka_unit_test(held_when_the_last_carrier_dies),
		cmocka_unit_test(moved_when_the_carrier_is_silent),
	};

	log_open(&quiet);
	return cmocka_run_group_tests_name("portal", tests, NULL, NULL);
}
