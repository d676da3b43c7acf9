#include "proxy/control.h"

#include <stdlib.h>

#include "base/err.h"
#include "conf/value.h"
#include "crypto/rand.h"

enum {
	BEAT_MS = 10000,
	/* A bridge that does not know the name routes the session like a visitor's and ends it
	 * when that fails; stock software takes a second for it. */
	SETTLED_MS = 4000,
};

struct control {
	struct mux *mux;
	struct loop *loop;
	struct dgram *session;
	struct dgram_user on_session;
	struct timer beat;
	struct control_user *user;
	enum reversectl_name name;
	const char *fixed;
	bool find, settled;
	unsigned tried;
	struct garbage garbage;
};

static void send_beat(struct control *c, enum reversectl_state state)
{
	static const struct addr nobody;
	uint8_t filler[REVERSECTL_FILLER_MAX], n;
	struct reversectl msg = {.state = state};
	struct buf *b = buf_new(REVERSECTL_MAX);
	struct wr w;

	if (!b || !c->session) {
		buf_free(b);
		return;
	}
	rand_fill(&n, 1);
	rand_fill(filler, sizeof(filler));
	msg.filler = span_of(filler, 1 + n % REVERSECTL_FILLER_MAX);
	w = wr_of(b->data, REVERSECTL_MAX);
	reversectl_encode(&w, &msg);
	b->len = (uint32_t)w.n;
	dgram_send(c->session, &nobody, b);
}

static void open_session(struct control *c);

static void on_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
		      struct buf *pkt)
{
	(void)u;
	(void)d;
	(void)from;
	buf_free(pkt); /* bridges say nothing here */
}

static void on_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct control *c = container_of(u, struct control, on_session);

	dgram_close(d, err);
	c->session = NULL;
	timer_stop(&c->beat);
	if (!c->find || c->settled || ++c->tried >= REVERSECTL_NAMES)
		return;
	c->name = (c->name + 1) % REVERSECTL_NAMES;
	open_session(c);
}

static void on_beat(struct timer *t)
{
	struct control *c = container_of(t, struct control, beat);

	if (!c->settled) {
		c->settled = true;
		c->user->on_name(c->user, c->name);
		timer_start(&c->beat, BEAT_MS - SETTLED_MS);
		return;
	}
	send_beat(c, REVERSECTL_ACTIVE);
	timer_start(&c->beat, BEAT_MS);
}

static void open_session(struct control *c)
{
	struct mux_request req = {.net = CONF_UDP};
	const char *name = *c->fixed ? c->fixed : reversectl_name(c->name);

	addr_set_host(&req.target, span_str(name), 0);
	mux_limit_dgrams(c->mux, reversectl_dgram_max(name));
	c->session = mux_open_dgram(c->mux, &req);
	if (!c->session)
		return;
	dgram_attach(c->session, &c->on_session);
	send_beat(c, REVERSECTL_ACTIVE);
	timer_start(&c->beat, SETTLED_MS);
}

struct control *control_start(struct mux *m, struct loop *l, enum reversectl_name first, bool find,
			      const char *fixed, struct control_user *user)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->mux = m;
	c->loop = l;
	c->name = first;
	c->find = find;
	c->fixed = fixed;
	c->user = user;
	c->on_session = (struct dgram_user){on_packet, on_end, NULL};
	timer_init(&c->beat, l, on_beat);
	open_session(c);
	return c;
}

static void control_destroy(struct garbage *g)
{
	free(container_of(g, struct control, garbage));
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	timer_stop(&c->beat);
	dgram_close(c->session, 0);
	c->session = NULL;
	c->garbage.destroy = control_destroy;
	loop_free_later(c->loop, &c->garbage);
}

void control_drain(struct control *c)
{
	if (!c)
		return;
	send_beat(c, REVERSECTL_DRAIN);
	control_stop(c);
}
