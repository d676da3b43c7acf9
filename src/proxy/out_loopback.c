#include "proxy/out_loopback.h"

#include <stdlib.h>

#include "base/list.h"
#include "flow/flow.h"

struct out_loopback {
	struct outbound o;
	const struct conf_out_loopback *conf;
};

static void loopback_open(struct outbound *ob, struct flow *f)
{
	struct out_loopback *o = container_of(ob, struct out_loopback, o);

	f->in_tag = o->conf->inbound_tag;
	f->sniff = &o->conf->sniff;
	f->hops++;
	f->out = NULL;
	f->rule = NULL;
	flow_dispatch(f);
}

static void loopback_free(struct outbound *ob)
{
	free(container_of(ob, struct out_loopback, o));
}

static bool loopback_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops loopback_ops = {
	.protocol = "loopback",
	.echoes = loopback_echoes,
	.open = loopback_open,
	.free = loopback_free,
};

struct outbound *out_loopback_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_loopback *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->o = (struct outbound){.ops = &loopback_ops, .tag = conf->tag, .core = c};
	o->conf = &conf->loopback;
	return &o->o;
}
