#include "route/view.h"

#include "route/strtab.h"

void view_init(struct route_view *v, const struct route_attrs *a, enum view_ips ips)
{
	v->a = a;
	v->tag = span_str(a->inbound_tag);
	v->user = span_str(a->user);
	v->tag_hash = v->tag.n ? strtab_hash(v->tag) : 0;
	v->user_hash = v->user.n ? strtab_hash(v->user) : 0;
	v->name = a->sniffed_name && a->sniffed_name[0] ? a->sniffed_name : NULL;
	if (!v->name && a->target->kind == ADDR_NAME && a->target->name[0])
		v->name = a->target->name;
	v->ips = NULL;
	v->n_ips = 0;
	v->ips_wait = ips == VIEW_IPS_WAIT && v->name && !a->resolved;
	v->has_key = v->has_process = false;
	if (ips != VIEW_IPS_OWN && a->resolved && a->n_ips > 0) {
		v->ips = a->ips;
		v->n_ips = a->n_ips;
	} else if (a->target->kind == ADDR_IP) {
		v->ips = &a->target->ip;
		v->n_ips = 1;
	}
}

const struct domkey *view_key(struct route_view *v)
{
	if (!v->has_key && v->name) {
		if (domkey_init(&v->key, span_str(v->name)))
			v->has_key = true;
		else
			v->name = NULL; /* longer than any name */
	}
	return v->name ? &v->key : NULL;
}

const struct route_process *view_process(struct route_view *v)
{
	if (!v->has_process) {
		v->process = v->a->process ? v->a->process(v->a->ctx) : NULL;
		v->has_process = true;
	}
	return v->process;
}
