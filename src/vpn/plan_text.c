/* A plan in words: what "check --routes" prints. Other programs may read it, so it stays as it is. */
#include "vpn/plan_int.h"

static void print_device(const struct plan *p, FILE *to)
{
	const struct conf_in_tun *t = &p->in->tun;
	char text[PREFIX_TEXT];

	fprintf(to, "device %s mtu %u\n", t->name, t->mtu);
	for (size_t i = 0; i < t->n_addrs; i++) {
		struct prefix as_prefix = {t->addrs[i].ip, t->addrs[i].len};

		if (plan_family(p, as_prefix.ip.family))
			fprintf(to, "address %s\n", plan_prefix_text(&as_prefix, text));
	}
}

static void print_routes(const struct plan *p, FILE *to)
{
	static const char *const kinds[] = {"into", "outside", "nowhere"};
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];

		fprintf(to, "route %s %s%s%s (%s)\n", plan_prefix_text(&r->dst, text),
			kinds[r->kind], r->kind == PLAN_INTO_TUN ? " " : "",
			r->kind == PLAN_INTO_TUN ? p->in->tun.name : "", r->why);
	}
}

static void print_rules(const struct plan *p, FILE *to)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct plan_rule *r = &p->rules[i];

		fprintf(to, "rule %u ipv%u not mark 0x%x table ", r->prio, r->family, p->mark);
		if (r->table == KTABLE_MAIN)
			fprintf(to, "main");
		else
			fprintf(to, "%u", r->table);
		fprintf(to, "%s\n", r->suppress ? " but not its default route" : "");
	}
}

static void print_carriers(const struct plan *p, FILE *to)
{
	for (size_t i = 0; i < p->n_carriers; i++) {
		const struct plan_carrier *c = &p->carriers[i];
		struct addr at = *c->server;
		char text[ADDR_TEXT_MAX];

		if (c->ip.family)
			at = addr_from_ip(&c->ip, c->server->port);
		fprintf(to, "server %s of [%s] by %s\n", addr_text(&at, text, sizeof(text)),
			c->out->tag, *c->dev ? c->dev : "?");
	}
}

static void print_deliveries(const struct plan *p, FILE *to)
{
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < p->n_deliveries; i++) {
		const struct plan_delivery *d = &p->deliveries[i];

		fprintf(to, "deliver %s %s%s %s [%s]\n", plan_prefix_text(&d->to, text),
			d->here ? "here" : "by ", d->here ? "" : *d->dev ? d->dev : "?", d->how,
			d->out->tag);
	}
}

void plan_print(const struct plan *p, FILE *to)
{
	static const char *const levels[] = {"note", "warning", "refused"};

	print_device(p, to);
	print_routes(p, to);
	print_rules(p, to);
	print_carriers(p, to);
	print_deliveries(p, to);
	for (size_t i = 0; i < p->n_msgs; i++)
		fprintf(to, "%s: %s\n", levels[p->msgs[i].level], p->msgs[i].text);
}
