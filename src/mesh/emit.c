#include "mesh/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"

/* ---- members ---- */

static cJSON *put(struct emit *e, cJSON *obj, const char *key, cJSON *v)
{
	if (!obj || !v || !(key ? cJSON_AddItemToObject(obj, key, v) : cJSON_AddItemToArray(obj, v))) {
		e->failed = true;
		cJSON_Delete(v);
		return NULL;
	}
	return v;
}

cJSON *emit_obj(struct emit *e, cJSON *obj, const char *key)
{
	return put(e, obj, key, cJSON_CreateObject());
}

cJSON *emit_list(struct emit *e, cJSON *obj, const char *key)
{
	return put(e, obj, key, cJSON_CreateArray());
}

cJSON *emit_item(struct emit *e, cJSON *list)
{
	return put(e, list, NULL, cJSON_CreateObject());
}

void emit_str(struct emit *e, cJSON *obj, const char *key, const char *text)
{
	put(e, obj, key, cJSON_CreateString(text));
}

void emit_num(struct emit *e, cJSON *obj, const char *key, double v)
{
	put(e, obj, key, cJSON_CreateNumber(v));
}

void emit_bool(struct emit *e, cJSON *obj, const char *key, bool v)
{
	put(e, obj, key, cJSON_CreateBool(v));
}

void emit_text(struct emit *e, cJSON *list, const char *text)
{
	put(e, list, NULL, cJSON_CreateString(text));
}

void emit_one(struct emit *e, cJSON *obj, const char *key, const char *text)
{
	emit_text(e, emit_list(e, obj, key), text);
}

void emit_prefixes(struct emit *e, cJSON *obj, const char *key, const struct prefix *v, size_t n)
{
	cJSON *list = emit_list(e, obj, key);
	char text[64];

	for (size_t i = 0; i < n; i++)
		emit_text(e, list, prefix_text(&v[i], text, sizeof(text)));
}

void emit_ports(struct emit *e, cJSON *obj, const struct conf_ports *ports)
{
	char text[2048];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; ports->given && i < ports->n && n < sizeof(text) - 16; i++) {
		const struct conf_port_range *r = &ports->v[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, r->from == r->to ? "%s%u" : "%s%u-%u",
				      i ? "," : "", r->from, r->to);
	}
	if (ports->given)
		emit_str(e, obj, "port", text);
}

void emit_network(struct emit *e, cJSON *obj, unsigned networks)
{
	if (networks == CONF_TCP || networks == CONF_UDP)
		emit_str(e, obj, "network", networks == CONF_TCP ? "tcp" : "udp");
}

void emit_anything(struct emit *e, cJSON *rule)
{
	emit_str(e, rule, "network", "tcp,udp");
}

/* ---- rules ---- */

char *emit_rule_tag(const struct mesh_rule *r, const char *node, char *out)
{
	snprintf(out, EMIT_TEXT, "policy[%zu]%s%s %s %s", r->number - 1, *r->name ? " " : "",
		 r->name, r->allow ? "to" : "denies", node);
	return out;
}

cJSON *emit_rule(struct emit *e, cJSON *rules, const char *tag, const char *outbound)
{
	cJSON *r = emit_item(e, rules);

	emit_str(e, r, "type", "field");
	emit_str(e, r, "ruleTag", tag);
	emit_str(e, r, "outboundTag", outbound);
	return r;
}

bool emit_domains(struct emit *e, cJSON *rule, int node, const struct mesh_place *to, size_t n)
{
	const struct mesh_node *v = &e->m->nodes[node];
	cJSON *list = NULL;
	char text[EMIT_TEXT];

	for (size_t h = 0; h <= v->n_hosts; h++) {
		const struct ip *ip = h ? &v->hosts[h - 1].seen : v->ip4.family ? &v->ip4 : &v->ip6;
		bool in = false;

		for (size_t i = 0; i < n; i++)
			in |= to[i].node == node && prefix_has(&to[i].prefix, ip);
		if (!in)
			continue;
		if (!rule)
			return true;
		if (!list)
			list = emit_list(e, rule, "domain");
		snprintf(text, sizeof(text), "full:%s%s%s.%s", h ? v->hosts[h - 1].name : "",
			 h ? "." : "", v->name, e->m->domain);
		emit_text(e, list, text);
	}
	return list != NULL;
}

void emit_names(struct emit *e, cJSON *root)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *dns = emit_obj(e, root, "dns"), *hosts = emit_obj(e, dns, "hosts");
	char name[EMIT_TEXT], text[64];

	snprintf(name, sizeof(name), "full:%s.%s", v->name, e->m->domain);
	emit_str(e, hosts, name, v->tun ? ip_text(&v->ip4, text, sizeof(text)) : "127.0.0.1");
	for (size_t i = 0; i < v->n_hosts; i++) {
		snprintf(name, sizeof(name), "full:%s.%s.%s", v->hosts[i].name, v->name,
			 e->m->domain);
		emit_str(e, hosts, name, ip_text(&v->hosts[i].real, text, sizeof(text)));
	}
	if (emit_asks_resolver(e))
		emit_str(e, dns, "tag", EMIT_DNS_OWN);
	emit_one(e, dns, "servers",
		 emit_asks_resolver(e) ? ip_text(&e->m->resolver, text, sizeof(text)) : "localhost");
}

/* Nodes may trace through their hubs: who is in the mesh may see how it decides. */
static void emit_control(struct emit *e, cJSON *root)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *control = emit_obj(e, root, "control");

	emit_str(e, control, "name", v->name);
	if (v->kind == MESH_HUB)
		emit_bool(e, control, "remoteTrace", true);
}

void emit_head(struct emit *e, cJSON *root)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_str(e, emit_obj(e, root, "log"), "loglevel",
		 v->software == MESH_GARENNE ? "info" : "warning");
	/* Before, flows of VLESS reverse had no source, and rules about it matched nothing. */
	if (v->software == MESH_XRAY)
		emit_str(e, emit_obj(e, root, "version"), "min", "25.10.15");
	if (v->software == MESH_GARENNE)
		emit_control(e, root);
}

/* ---- local ways in ---- */

bool emit_has_local(const struct mesh_node *n)
{
	return n->tun || n->socks.kind != ADDR_NONE;
}

static void emit_tun(struct emit *e, cJSON *inbounds)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *in = emit_item(e, inbounds), *s, *list;
	struct prefix routes[EMIT_PREFIXES];
	char text[64], with[72];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);

	emit_str(e, in, "tag", "tun");
	emit_str(e, in, "protocol", "tun");
	s = emit_obj(e, in, "settings");
	snprintf(with, sizeof(with), "%.15s", e->m->name);
	emit_str(e, s, "name", with);
	list = emit_list(e, s, "addresses");
	for (int i = 0; i < 2; i++) {
		const struct ip *ip = i ? &v->ip6 : &v->ip4;

		if (ip->family == 0)
			continue;
		snprintf(with, sizeof(with), "%s/%d", ip_text(ip, text, sizeof(text)), i ? 128 : 32);
		emit_text(e, list, with);
	}
	emit_prefixes(e, s, "routes", routes, n);
	if (mesh_exit_of(e->m, e->node))
		emit_text(e, cJSON_GetObjectItem(s, "routes"), "default");
	emit_dns_tun(e, s);
}

void emit_local_inbounds(struct emit *e, cJSON *inbounds)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	char host[ADDR_TEXT_MAX];
	cJSON *in;

	if (v->tun)
		emit_tun(e, inbounds);
	if (v->socks.kind == ADDR_NONE)
		return;
	in = emit_item(e, inbounds);
	emit_str(e, in, "tag", "socks");
	emit_str(e, in, "listen", addr_host_text(&v->socks, host, sizeof(host)));
	emit_num(e, in, "port", v->socks.port);
	emit_str(e, in, "protocol", "socks");
	emit_bool(e, emit_obj(e, in, "settings"), "udp", true);
}

bool emit_has_account(const struct emit *e, size_t node, int hub)
{
	const struct mesh_node *v = &e->m->nodes[node];

	return (int)node != hub && (v->kind != MESH_HUB || emit_has_local(v));
}

void emit_hub_tag(const struct emit *e, int hub, char out[EMIT_TEXT])
{
	snprintf(out, EMIT_TEXT, "hub.%s", e->m->nodes[hub].name);
}

void emit_local_tags(struct emit *e, cJSON *rule)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *list = emit_list(e, rule, "inboundTag");

	if (v->tun)
		emit_text(e, list, "tun");
	if (v->socks.kind != ADDR_NONE)
		emit_text(e, list, "socks");
}

/* ---- results ---- */

void emit_file_text(struct emit *e, char *text, enum mesh_file_kind kind, const char *suffix)
{
	struct mesh_output *o = e->out;
	struct mesh_file *v = realloc(o->files, (o->n_files + 1) * sizeof(*v));
	char *name = NULL;

	if (v)
		o->files = v;
	if (!v || !text ||
	    asprintf(&name, "%s%s", e->m->nodes[e->node].name, suffix) == -1) {
		e->failed = true;
		if (text)
			secret_wipe(text, strlen(text));
		free(text);
		return;
	}
	v[o->n_files++] = (struct mesh_file){e->node, kind, name, text};
}

enum mesh_file_kind emit_file_kind(const struct emit *e)
{
	static const enum mesh_file_kind kinds[] = {MESH_FILE_GARENNE, MESH_FILE_XRAY,
						    MESH_FILE_V2RAY};

	return kinds[e->m->nodes[e->node].software];
}

void emit_file(struct emit *e, cJSON *root, enum mesh_file_kind kind, const char *suffix)
{
	emit_file_text(e, root ? cJSON_Print(root) : NULL, kind, suffix);
	cJSON_Delete(root);
}

void emit_note(struct emit *e, const char *fmt, ...)
{
	struct mesh_output *o = e->out;
	struct mesh_note *v = realloc(o->notes, (o->n_notes + 1) * sizeof(*v));
	char *text = NULL;
	va_list ap;

	if (v)
		o->notes = v;
	va_start(ap, fmt);
	if (!v || vasprintf(&text, fmt, ap) == -1)
		e->failed = true;
	else
		v[o->n_notes++] = (struct mesh_note){e->node, text};
	va_end(ap);
}
