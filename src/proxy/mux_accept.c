#include "proxy/mux_accept.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/mux_serve.h"
#include "proxy/vision_stream.h"

static void accept_open(struct outbound *o, struct flow *f)
{
	struct mux_serve_conf conf = {
		.core = o->core,
		.in_tag = f->in_tag,
		.user = f->user,
		.level = f->level,
		.origin = f->origin,
		.sniff = f->sniff,
		.source = f->source,
		.twin = f->twin,
		.local = f->local,
		.hops = f->hops,
	};
	struct bufq early;
	struct stream *s;

	bufq_init(&early);
	s = flow_take_in(f, &early);
	/* As Xray: who asks for Vision wants no TCP whose lengths a mux would show. */
	conf.udp_only = vision_stream_is(s);
	/* The first frame usually came with the request: it tells XUDP from an ordinary carrier.
	 * An error shows again when the mux reads. */
	if (bufq_empty(&early))
		stream_read(s, &early, STREAM_READ_MAX);
	mux_serve_start(s, &early, &conf, NULL);
}

static void accept_free(struct outbound *o)
{
	free(o);
}

static const struct outbound_ops accept_ops = {
	.protocol = "mux",
	.open = accept_open,
	.free = accept_free,
};

struct outbound *mux_accept_new(struct core *c)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (o)
		*o = (struct outbound){.ops = &accept_ops, .tag = "mux", .core = c};
	return o;
}
