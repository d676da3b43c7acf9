#include "proxy/out_vless.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/trace.h"
#include "flow/warm.h"
#include "proto/muxcool.h"
#include "proto/vless.h"
#include "proxy/client.h"
#include "proxy/mux.h"
#include "proxy/vision_stream.h"
#include "proxy/vless_await.h"
#include "proxy/vless_cap.h"
#include "proxy/vless_packets.h"
#include "proxy/vless_stream.h"
#include "proxy/vless_trace.h"

struct out_vless {
	struct outbound o;
	const struct conf_out_vless *conf;
	struct dialer *dialer;
	struct warm *warm; /* NULL: none is opened in advance */
	bool vision;
	atomic_uint server_caps; /* vless_cap.h; learned from a response */
};

/* One connection to the server while it is opened for a flow. */
struct vless_client {
	struct client c;
	struct out_vless *v;
};

/* A mux with one UDP session, and what ends with it. */
struct xudp {
	struct mux_user on_mux;
	struct loop *loop;
	struct garbage garbage;
};

enum { PORT_DNS = 53, PORT_QUIC = 443 };

/* XUDP where stock clients use it: with Vision always, without it for everything but DNS and
 * QUIC, which have one target each. A server of ours can tell more in it. */
static bool use_xudp(const struct flow *f, bool vision, bool ours)
{
	return vision || ours || (f->target.port != PORT_DNS && f->target.port != PORT_QUIC);
}

static uint8_t command_for(const struct flow *f, bool vision, bool ours)
{
	if (f->registers)
		return VLESS_REVERSE;
	if (f->net == CONF_TCP)
		return muxcool_is_carrier(&f->target) ? VLESS_MUX : VLESS_TCP;
	return use_xudp(f, vision, ours) ? VLESS_MUX : VLESS_UDP;
}

/* Whose flow it is, to a server that wants to know, as far as the file lets us tell. */
static struct ipport told_source(const struct out_vless *v, const struct flow *f, unsigned caps)
{
	struct ipport s = f->source;
	bool other = f->target.kind == ADDR_IP && f->target.ip.family != s.ip.family;

	if (!(caps & VLESS_CAP_SOURCE) || other || !s.ip.family ||
	    !conf_map_forth(v->conf->tell, v->conf->n_tell, &s.ip))
		memset(&s, 0, sizeof(s));
	return s;
}

static int encode_head(const struct out_vless *v, const struct flow *f, uint8_t command,
		       unsigned caps, struct wr *out)
{
	uint8_t bytes[VLESS_ADDONS_MAX];
	struct wr addons = wr_of(bytes, sizeof(bytes));
	struct vless_request req = {.id = v->conf->user.id, .command = command, .target = f->target};
	struct vless_cap cap = {.bits = caps, .source = told_source(v, f, caps)};

	if (v->vision) {
		struct span s = vless_addons_vision();

		wr_bytes(&addons, s.p, s.n);
	}
	if (caps)
		vless_cap_encode(&addons, &cap);
	req.addons = span_of(bytes, addons.n);
	return vless_request_encode(out, &req);
}

/* What we tell the server of ourselves: only what it knows, and a verdict only if it is wanted. */
static unsigned own_caps(const struct flow *f, unsigned server)
{
	return f->hook && f->net == CONF_TCP ? server : server & ~(unsigned)VLESS_CAP_VERDICT;
}

/* The layers on @s, the lower one in @vless. Takes @s. */
static struct stream *wrap(struct out_vless *v, struct flow *f, struct stream *s, uint8_t command,
			   unsigned caps, struct stream **vless)
{
	uint8_t head[VLESS_REQUEST_MAX];
	struct wr w = wr_of(head, sizeof(head));
	/* Who waits for an answer to the header sends it at once. */
	bool now = f->taker || (caps & VLESS_CAP_VERDICT);
	struct vless_side side = {.client = true,
				  .half_close = caps & VLESS_CAP_HALF_CLOSE,
				  .server_caps = &v->server_caps,
				  .lonely_ms = now ? VLESS_NOW_MS : VLESS_LONELY_MS};
	struct vision_side vision = {.id = &v->conf->user.id,
				     .seed = v->conf->testseed,
				     .lonely_ms = now ? VLESS_NOW_MS : VISION_LONELY_MS};

	if (encode_head(v, f, command, caps, &w) != 0) {
		stream_close(s, 0);
		return NULL;
	}
	side.head = span_of(head, w.n);
	if (v->vision)
		side.lonely_ms = 0;
	*vless = vless_stream_new(s, NULL, &side);
	if (!v->vision || !*vless)
		return *vless;
	return vision_stream_new(*vless, s, &vision);
}

static void xudp_destroy(struct garbage *g)
{
	free(container_of(g, struct xudp, garbage));
}

static void on_xudp_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct xudp *x = container_of(u, struct xudp, on_mux);

	(void)m;
	(void)err;
	(void)why;
	x->garbage.destroy = xudp_destroy;
	loop_free_later(x->loop, &x->garbage);
}

static struct dgram *xudp_new(struct flow *f, struct stream *s, bool ours)
{
	struct mux_config mc = {.role = MUX_CLIENT, .xudp_single = true, .ours = ours};
	struct mux_request req = {.net = CONF_UDP, .target = f->target};
	struct xudp *x = calloc(1, sizeof(*x));
	struct mux *m;
	struct dgram *d;

	if (!x) {
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	x->loop = f->loop;
	x->on_mux.on_end = on_xudp_end;
	m = mux_new(s, NULL, &mc, &x->on_mux);
	if (!m) {
		free(x);
		return NULL;
	}
	d = mux_open_dgram(m, &req);
	if (!d)
		mux_close(m, -ERR_NOMEM);
	return d;
}

static void connected(struct out_vless *v, struct flow *f, struct stream *s)
{
	unsigned caps = own_caps(f, atomic_load_explicit(&v->server_caps, memory_order_relaxed));
	uint8_t command = command_for(f, v->vision, caps != 0);
	char room[VISION_WHY_MAX];
	const char *refusal = v->vision ? vision_stream_refusal(s, room) : NULL;
	struct stream *vless;
	struct dgram *d;
	bool trace;

	if (refusal) {
		stream_close(s, 0);
		flow_failed(f, -ERR_UNSUPPORTED, refusal);
		return;
	}
	trace = f->traced && command == VLESS_TCP && (caps & VLESS_CAP_TRACE);
	if (f->traced && !trace)
		trace_say(f, "the server is stock, or not known to be ours yet: it cannot tell");
	s = wrap(v, f, s, trace ? (uint8_t)VLESS_MUX : command, caps, &vless);
	if (!s) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	if (trace) {
		vless_trace_start(f, s);
		return;
	}
	if (f->net == CONF_TCP && command == VLESS_TCP && (caps & VLESS_CAP_VERDICT)) {
		vless_await_start(f, s, vless);
		return;
	}
	if (f->net == CONF_TCP) {
		flow_connected(f, s, stream_can_half_close(s));
		return;
	}
	d = command == VLESS_MUX ? xudp_new(f, s, caps != 0) : vless_packets_new(s);
	if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

static void client_done(struct client *c, struct flow *f, struct stream *s, struct bufq *rest)
{
	(void)rest; /* VLESS begins with our words, and they leave with the flow's */
	connected(container_of(c, struct vless_client, c)->v, f, s);
}

static void client_free(struct client *c)
{
	free(container_of(c, struct vless_client, c));
}

static const struct client_ops client_ops = {
	.done = client_done,
	.free = client_free,
};

static void vless_open(struct outbound *o, struct flow *f)
{
	struct out_vless *v = container_of(o, struct out_vless, o);
	struct vless_client *k;
	struct stream *s;

	if (v->vision && f->net == CONF_UDP && f->target.port == PORT_QUIC &&
	    v->conf->user.flow != CONF_FLOW_VISION_UDP443) {
		flow_failed(f, -ERR_BLOCKED, "XTLS rejected UDP/443 traffic");
		return;
	}
	k = calloc(1, sizeof(*k));
	if (!k) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->v = v;
	s = v->warm && !f->registers ? warm_take(v->warm, f->loop) : NULL;
	if (s)
		client_start_on(&k->c, &client_ops, s, &v->conf->server, f);
	else
		client_start(&k->c, &client_ops, v->dialer, &v->conf->server, f);
}

static void vless_free(struct outbound *o)
{
	struct out_vless *v = container_of(o, struct out_vless, o);

	warm_free(v->warm);
	dialer_free(v->dialer);
	free(v);
}

static bool vless_echoes(const struct outbound *o)
{
	const struct out_vless *v = container_of(o, const struct out_vless, o);

	return atomic_load_explicit(&v->server_caps, memory_order_relaxed) & VLESS_CAP_ECHO;
}

static const struct outbound_ops vless_ops = {
	.protocol = "vless",
	.echoes = vless_echoes,
	.open = vless_open,
	.free = vless_free,
};

/* Xray ignores it beside "reverse"; and what has a flow's own address is not there before it. */
static bool wants_warm(const struct conf_outbound *conf)
{
	return conf->vless.testpre && !*conf->vless.user.reverse_tag &&
	       conf->via.kind != CONF_VIA_ORIGIN && conf->via.kind != CONF_VIA_SRCIP;
}

struct outbound *out_vless_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_vless *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->o = (struct outbound){.ops = &vless_ops, .tag = conf->tag, .core = c};
	v->conf = &conf->vless;
	v->vision = conf->vless.user.flow != CONF_FLOW_NONE;
	atomic_init(&v->server_caps, conf->vless.garenne ? VLESS_CAP_ALL : 0);
	v->dialer = dialer_new(c, conf);
	if (v->dialer && wants_warm(conf))
		v->warm = warm_new(c, v->dialer, &v->conf->server, v->conf->testpre);
	if (!v->dialer || (wants_warm(conf) && !v->warm)) {
		vless_free(&v->o);
		return NULL;
	}
	return &v->o;
}
