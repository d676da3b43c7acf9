#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "proxy/portal_int.h"

static struct portal *of(struct outbound *o)
{
	return container_of(o, struct portal, o);
}

void portal_set_state(struct portal *p, enum portal_state st)
{
	if (p->state == st)
		return;
	p->state = st;
	p->since_ms = loop_now(p->o.home);
	p->told = false;
}

static bool is_registration(const struct portal *p, const struct flow *f)
{
	if (!p->conf)
		return f->registers;
	return f->target.kind == ADDR_NAME && strcmp(f->target.name, p->conf->domain) == 0;
}

static bool may_register(const struct portal *p, const struct flow *f)
{
	if (!p->conf || p->conf->users.n == 0)
		return true;
	for (size_t i = 0; i < p->conf->users.n; i++)
		if (strcasecmp(p->conf->users.v[i], f->user) == 0)
			return true;
	return false;
}

static void open_registration(struct portal *p, struct flow *f)
{
	char from[64];
	const char *user = f->user;
	struct stream *s;
	struct bufq early;

	if (f->net != CONF_TCP) {
		flow_failed(f, -ERR_UNSUPPORTED, "a bridge registers by TCP");
		return;
	}
	ipport_text(&f->source, from, sizeof(from));
	if (!may_register(p, f)) {
		log_warn("portal", "[%s] %s user '%s' may not register as bridge", p->o.tag, from,
			 user);
		flow_failed(f, -ERR_AUTH, "this user may not register as bridge");
		return;
	}
	bufq_init(&early);
	s = flow_take_in(f, &early);
	portal_carrier_start(p, s, &early, from, user);
}

static void portal_open(struct outbound *o, struct flow *f)
{
	struct portal *p = of(o);

	if (is_registration(p, f))
		open_registration(p, f);
	else
		portal_visitor_open(p, f);
}

static bool portal_alive(const struct outbound *o)
{
	const struct portal *p = container_of(o, const struct portal, o);

	return atomic_load_explicit(&p->live, memory_order_relaxed) > 0;
}

static bool portal_registers(const struct outbound *o, const struct flow *f)
{
	return is_registration(container_of(o, const struct portal, o), f);
}

static void portal_network_changed(struct outbound *o)
{
	portal_carrier_check_all(of(o));
}

static void portal_describe(struct outbound *o, cJSON *into)
{
	static const char *const text[] = {"never connected", "up", "lost"};
	struct portal *p = of(o);

	cJSON_AddStringToObject(into, "domain", p->conf ? p->conf->domain : "");
	cJSON_AddStringToObject(into, "state", text[p->state]);
	cJSON_AddNumberToObject(into, "since_ms", (double)(loop_now(p->o.home) - p->since_ms));
	if (*p->last_error) {
		cJSON_AddStringToObject(into, "last_error", p->last_error);
		cJSON_AddStringToObject(into, "last_peer", p->last_from);
	}
	if (p->strays)
		cJSON_AddStringToObject(into, "asked_for_instead", p->stray);
	cJSON_AddNumberToObject(into, "waiting", (double)p->n_held);
	portal_carrier_describe_all(p, cJSON_AddArrayToObject(into, "carriers"));
}

static void portal_free(struct outbound *o)
{
	struct portal *p = of(o);

	portal_carrier_close_all(p);
	free(p);
}

/* The carrier that the flow gets may be able to, or not. */
static bool portal_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops portal_ops = {
	.protocol = "portal",
	.echoes = portal_echoes,
	.open = portal_open,
	.alive = portal_alive,
	.registers = portal_registers,
	.network_changed = portal_network_changed,
	.describe = portal_describe,
	.free = portal_free,
};

static struct outbound *portal_make(struct core *core, const char *tag,
				    const struct conf_portal *conf)
{
	struct portal *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->o = (struct outbound){
		.ops = &portal_ops, .tag = tag, .core = core, .home = core_home(core, tag)};
	p->conf = conf;
	p->name = REVERSECTL_V2FLY; /* the commonest of the classic ones */
	list_init(&p->carriers);
	list_init(&p->held);
	p->since_ms = loop_now(p->o.home);
	return &p->o;
}

struct outbound *portal_new(struct core *c, const struct conf_portal *conf)
{
	return portal_make(c, conf->tag, conf);
}

struct outbound *portal_new_vless(struct core *c, const char *tag)
{
	return portal_make(c, tag, NULL);
}

void portal_register_vless(struct flow *f, const char *tag)
{
	f->registers = true;
	f->out = core_outbound(f->core, tag);
	addr_set_host(&f->target, span_str("v1.rvs.cool"), 0);
	flow_dispatch(f);
}
