#include "proxy/in_tunnel.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/flow.h"
#include "proxy/tunnel_target.h"
#include "proxy/tunnel_udp.h"

struct in_tunnel {
	struct inbound in;
	struct tunnel_udp *udp;
	struct log_rate rate[CORE_LOOPS_MAX];
};

/* Per loop: this many lines at once, then the same number again after a while. */
enum { LOG_BURST = 5, LOG_EVERY_S = 60 };

static void refuse(struct in_tunnel *t, struct stream *s, const struct conn_info *info, int err)
{
	char text[ADDR_TEXT_MAX];
	uint32_t muted = 0;

	if (log_rate_pass(&t->rate[loop_id(s->loop)], loop_now(s->loop), LOG_BURST, LOG_EVERY_S,
			  &muted))
		log_warn("tunnel", "[%s] %s: %s (%u more not shown)", t->in.tag,
			 ipport_text(&info->source, text, sizeof(text)),
			 err == -ERR_LOOP ? "loopback connection detected" :
					    "unable to get destination",
			 muted);
	stream_close(s, err);
}

static void tunnel_serve(struct inbound *in, struct stream *s, const struct conn_info *info)
{
	struct in_tunnel *t = container_of(in, struct in_tunnel, in);
	struct tunnel_arrival a = {info->local, info->original, info->sni};
	struct addr target;
	struct flow *f;
	int err = tunnel_target(&target, in->conf, &a);

	if (err) {
		refuse(t, s, info, err);
		return;
	}
	f = inbound_flow(in, s->loop, CONF_TCP, info);
	if (!f) {
		stream_close(s, -ERR_LIMIT);
		return;
	}
	f->origin = FLOW_FROM_LOCAL;
	f->level = in->conf->tunnel.level;
	f->target = target;
	f->in = s;
	flow_dispatch(f);
}

static int tunnel_start(struct inbound *in)
{
	struct in_tunnel *t = container_of(in, struct in_tunnel, in);

	if (!(in->conf->tunnel.networks & CONF_UDP) || in->conf->listen.kind == CONF_LISTEN_UNIX)
		return 0;
	t->udp = tunnel_udp_start(in);
	return t->udp ? 0 : -ERR_SYS;
}

static void tunnel_stop(struct inbound *in)
{
	struct in_tunnel *t = container_of(in, struct in_tunnel, in);

	tunnel_udp_stop(t->udp);
	t->udp = NULL;
}

static void tunnel_free(struct inbound *in)
{
	free(container_of(in, struct in_tunnel, in));
}

static const struct inbound_ops tunnel_ops = {
	.protocol = "tunnel",
	.serve = tunnel_serve,
	.start = tunnel_start,
	.stop = tunnel_stop,
	.free = tunnel_free,
};

/* No connections are accepted. */
static const struct inbound_ops tunnel_udp_ops = {
	.protocol = "tunnel",
	.start = tunnel_start,
	.stop = tunnel_stop,
	.free = tunnel_free,
};

struct inbound *in_tunnel_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->in = (struct inbound){
		.ops = conf->tunnel.networks & CONF_TCP ? &tunnel_ops : &tunnel_udp_ops,
		.conf = conf,
		.core = c,
		.tag = conf->tag,
	};
	return &t->in;
}
