#include "mesh/eval.h"

#include <stdio.h>

#include "conf/msg.h"

static bool goes_to(const struct mesh_rule *r, int node, const struct ip *ip)
{
	for (size_t i = 0; i < r->n_to; i++)
		if (r->to[i].node == node && prefix_has(&r->to[i].prefix, ip))
			return true;
	return false;
}

static struct mesh_verdict eval_outside(const struct mesh *m, const struct mesh_flow *f)
{
	struct mesh_verdict v = {.node = MESH_NOBODY};

	/* Private addresses that are not the mesh's are somebody's LAN: never by an exit. */
	if (mesh_inside(m, &f->target) || ip_is_private(&f->target))
		return v;
	v.exit = mesh_exit_of(m, f->from);
	v.allowed = v.exit != NULL;
	if (v.exit)
		v.node = v.exit->through;
	return v;
}

struct mesh_verdict mesh_eval(const struct mesh *m, const struct mesh_flow *f)
{
	struct mesh_verdict v = {.node = mesh_owner(m, &f->target)};

	if (v.node == MESH_NOBODY)
		return eval_outside(m, f);
	if (v.node == f->from) {
		v.allowed = true;
		return v;
	}
	if (m->nodes[v.node].kind == MESH_PHONE)
		return v;
	for (size_t i = 0; i < m->n_rules; i++) {
		const struct mesh_rule *r = &m->rules[i];

		if (!r->from.member[f->from] || !goes_to(r, v.node, &f->target) ||
		    (r->networks && !(r->networks & f->network)) ||
		    !conf_ports_has(&r->ports, f->port))
			continue;
		v.rule = r;
		v.allowed = r->allow;
		return v;
	}
	return v;
}

static void wrong(const struct mesh_expect *e, const struct mesh_verdict *v,
		  struct conf_msgs *msgs)
{
	char why[160] = "nothing in \"policy\" allows it";

	if (v->rule)
		snprintf(why, sizeof(why), "policy[%zu]%s%.40s at line %d %s it", v->rule->number - 1,
			 *v->rule->name ? " " : "", v->rule->name, v->rule->at.line,
			 v->allowed ? "allows" : "denies");
	else if (v->exit)
		snprintf(why, sizeof(why), "exits[%zu] at line %d lets it out", v->exit->number - 1,
			 v->exit->at.line);
	else if (v->allowed)
		snprintf(why, sizeof(why), "it is the node's own address");
	else if (e->internet)
		snprintf(why, sizeof(why), "no entry of \"exits\" is for this node");
	conf_msg_add(msgs, CONF_MSG_ERROR, &e->at, 0, "\"%.120s\" is not so: %s", e->text, why);
}

void mesh_expect(const struct mesh *m, struct conf_msgs *msgs)
{
	static const uint8_t anywhere[4] = {1, 1, 1, 1};

	for (size_t i = 0; i < m->n_expects; i++) {
		const struct mesh_expect *e = &m->expects[i];
		struct mesh_flow f = {e->from, e->internet ? ip_v4(anywhere) : e->target, e->port,
				      e->network};
		struct mesh_verdict v = mesh_eval(m, &f);

		if (v.allowed != e->may)
			wrong(e, &v, msgs);
	}
}
