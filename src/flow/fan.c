#include "flow/fan.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/core.h"
#include "flow/dispatch.h"
#include "flow/target.h"

enum { KNOWN = 16 };

struct fan {
	struct flow *f;
	struct list branches;
	unsigned n;
	struct ipport same[KNOWN]; /* take the flow's own way, as was found lately */
	unsigned next;
};

/* The inbound side of another flow of the association. */
struct branch {
	struct dgram d;
	struct list node;
	struct fan *fan; /* NULL: the association is over */
	struct addr to;
};

static struct branch *of(struct dgram *d)
{
	return container_of(d, struct branch, d);
}

static void branch_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct branch *b = of(d);

	if (b->fan)
		flow_answer(b->fan->f, party->kind == ADDR_NONE ? &b->to : party, pkt);
	else
		buf_free(pkt);
}

static void branch_bounce(struct dgram *d, const struct addr *to, int err)
{
	struct branch *b = of(d);

	if (b->fan)
		dgram_bounce(b->fan->f->in_dgram, to, err);
}

/* What a flow that did not come about means to the sender; of one that is over he hears nothing. */
static bool is_refusal(int err)
{
	switch (-err) {
	case ERR_REFUSED:
	case ERR_UNREACH:
	case ERR_BLOCKED:
	case ERR_NOROUTE:
	case ERR_NOWORKER:
		return true;
	default:
		return false;
	}
}

static void branch_destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void branch_close(struct dgram *d, int err)
{
	struct branch *b = of(d);
	struct fan *fan = b->fan;

	list_del(&b->node);
	b->fan = NULL;
	if (fan)
		fan->n--;
	if (fan && is_refusal(err))
		dgram_bounce(fan->f->in_dgram, &b->to, err);
	d->garbage.destroy = branch_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops branch_ops = {
	.name = "branch",
	.send = branch_send,
	.close = branch_close,
	.bounce = branch_bounce,
};

static struct flow *flow_for(struct flow *f, const struct addr *to)
{
	struct flow *g = flow_new(f->core, f->loop, CONF_UDP);

	if (!g)
		return NULL;
	g->origin = f->origin;
	g->in_tag = f->in_tag;
	g->user = f->user;
	g->level = f->level;
	g->vless_route = f->vless_route;
	g->source = f->source;
	g->local = f->local;
	g->sniff = f->sniff;
	g->of_tun = f->of_tun;
	g->came_by = f->came_by;
	g->hops = f->hops;
	g->target = *to;
	return g;
}

static struct branch *branch_new(struct fan *fan, const struct addr *to)
{
	struct branch *b = fan->n < FAN_BRANCHES ? calloc(1, sizeof(*b)) : NULL;
	struct flow *g = b ? flow_for(fan->f, to) : NULL;

	if (!g) {
		free(b);
		return NULL;
	}
	dgram_init(&b->d, &branch_ops, fan->f->loop);
	b->fan = fan;
	b->to = *to;
	list_add_tail(&fan->branches, &b->node);
	fan->n++;
	g->in_dgram = &b->d;
	flow_dispatch(g);
	return b;
}

static struct branch *find(struct fan *fan, const struct addr *to)
{
	struct branch *b;

	list_each(b, &fan->branches, node)
		if (addr_eq(&b->to, to))
			return b;
	return NULL;
}

/* Whom the flow is for, in the client's words: what was routed, and what it became. */
static bool is_own(const struct flow *f, const struct addr *party)
{
	struct ipport at;

	if (party->kind == ADDR_NONE || addr_eq(target_asked(f), party))
		return true;
	return addr_to_ipport(party, &at) && ipport_eq(&f->first, &at);
}

static bool is_known(const struct fan *fan, const struct addr *party)
{
	struct ipport at;

	if (!addr_to_ipport(party, &at))
		return false;
	for (unsigned i = 0; i < KNOWN; i++)
		if (ipport_eq(&fan->same[i], &at))
			return true;
	return false;
}

/* Asks the rules, and remembers a yes. */
static bool goes_along(struct fan *fan, const struct addr *party)
{
	struct ipport at;

	if (!dispatch_same_way(fan->f, party))
		return false;
	if (addr_to_ipport(party, &at))
		fan->same[fan->next++ % KNOWN] = at;
	return true;
}

static struct fan *fan_new(struct flow *f)
{
	struct fan *fan = calloc(1, sizeof(*fan));

	if (!fan)
		return NULL;
	fan->f = f;
	list_init(&fan->branches);
	return fan;
}

bool fan_takes(struct flow *f, const struct addr *party, struct buf *pkt)
{
	struct branch *b;

	if (f->forced || is_own(f, party))
		return false;
	if (!f->fan)
		f->fan = fan_new(f);
	if (f->fan && is_known(f->fan, party))
		return false;
	b = f->fan ? find(f->fan, party) : NULL;
	if (f->fan && !b) {
		if (goes_along(f->fan, party))
			return false;
		b = branch_new(f->fan, party);
	}
	if (b)
		dgram_deliver(&b->d, party, pkt);
	else
		buf_free(pkt);
	return true;
}

void fan_end(struct flow *f, int err)
{
	struct fan *fan = f->fan;

	if (!fan)
		return;
	f->fan = NULL;
	while (!list_empty(&fan->branches)) {
		struct branch *b = list_first(&fan->branches, struct branch, node);

		list_del(&b->node);
		b->fan = NULL;
		dgram_ended(&b->d, err ? err : -ERR_EOF);
	}
	free(fan);
}
