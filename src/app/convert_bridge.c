/* The hidden side: see convert.h. */
#include <stdio.h>
#include <string.h>

#include "app/convert.h"
#include "base/err.h"

/* The outbound that the bridge's own connection took, or NULL. */
static const struct conf_outbound *way_out(const struct convert *c, const struct convert_link *l)
{
	const struct conf *conf = c->bridge_conf;

	for (size_t i = 0; i < conf->routing.n_rules; i++) {
		const struct conf_rule *r = &conf->routing.rules[i];

		if ((r->inbound_tags.n == 0 || convert_has(&r->inbound_tags, l->bridge_tag)) &&
		    (r->domains.n == 0 || convert_names_domain(r, l->domain)) && r->ips.n == 0)
			return conf_outbound_find(conf, r->outbound_tag);
	}
	return conf->n_outbounds ? &conf->outbounds[0] : NULL;
}

static const struct addr *server_of(const struct conf_outbound *o)
{
	if (o && o->proto == CONF_OUT_SHADOWSOCKS)
		return &o->ss.server;
	return o && o->proto == CONF_OUT_VLESS ? &o->vless.server : NULL;
}

/* ---- the outbound ---- */

static cJSON *settings_for(const struct addr *server, const struct convert_link *l)
{
	cJSON *s = cJSON_CreateObject();
	char host[ADDR_TEXT_MAX];

	cJSON_AddStringToObject(s, "address", addr_host_text(server, host, sizeof(host)));
	cJSON_AddNumberToObject(s, "port", server->port);
	cJSON_AddStringToObject(s, "id", l->id);
	cJSON_AddStringToObject(s, "encryption", "none");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(s, "reverse"), "tag", l->bridge_tag);
	return s;
}

static void add_tls(const struct convert *c, cJSON *out)
{
	cJSON *stream = convert_get(out, "streamSettings"), *tls;

	if (!cJSON_IsObject(stream)) {
		convert_drop(out, "streamSettings");
		stream = cJSON_AddObjectToObject(out, "streamSettings");
	}
	convert_drop(stream, "security");
	convert_drop(stream, "tlsSettings");
	if (!convert_get(stream, "network") && !convert_get(stream, "method"))
		cJSON_AddStringToObject(stream, "network", "raw");
	cJSON_AddStringToObject(stream, "security", "tls");
	tls = cJSON_AddObjectToObject(stream, "tlsSettings");
	if (*c->pin)
		cJSON_AddStringToObject(tls, "pinnedPeerCertSha256", c->pin);
}

static void convert_outbound(struct convert *c, const struct convert_link *l,
			     const struct conf_outbound *o, cJSON *j)
{
	cJSON_ReplaceItemInObject(j, "protocol", cJSON_CreateString("vless"));
	cJSON_ReplaceItemInObject(j, "settings", settings_for(server_of(o), l));
	if (convert_get(j, "mux")) {
		convert_drop(j, "mux");
		convert_note("outbound %s: mux left out, the tunnel multiplexes by itself", o->tag);
	}
	if (!o->stream.tls)
		add_tls(c, j);
	if (!o->stream.tls && !*c->pin)
		convert_note("outbound %s: TLS without a pin: the portal's certificate must be one "
			     "that this system trusts, else give -pin",
			     o->tag);
}

/* Each tunnel has an outbound; bridges that shared one get copies. */
static int convert_link(struct convert *c, const struct convert_link *l, bool *used, cJSON *outs)
{
	const struct conf_outbound *o = way_out(c, l);
	size_t at = o ? (size_t)(o - c->bridge_conf->outbounds) : 0;
	cJSON *j = cJSON_GetArrayItem(outs, (int)at);
	char tag[160];

	if (!server_of(o)) {
		fprintf(stderr,
			"garenne convert: the connection of bridge %s to %s does not leave "
			"by a "
			"Shadowsocks or VLESS outbound; see \"garenne check\"\n",
			l->bridge_tag, l->domain);
		return -ERR_MALFORMED;
	}
	if (used[at]) {
		j = cJSON_Duplicate(j, 1);
		snprintf(tag, sizeof(tag), "%.70s-%.70s", o->tag, l->bridge_tag);
		cJSON_ReplaceItemInObject(j, "tag", cJSON_CreateString(tag));
		cJSON_AddItemToArray(outs, j);
	}
	used[at] = true;
	convert_outbound(c, l, o, j);
	return 0;
}

/* ---- what may come out ---- */

static void add_addresses(cJSON *list, const struct conf_strs *ips)
{
	for (size_t i = 0; i < ips->n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ips->v[i]));
}

/* What the rules let come here is allowed here too: by address where they say
 * addresses. */
static void allow(struct convert *c, const struct convert_link *l, const struct conf_outbound *o,
		  cJSON *j)
{
	const struct conf_routing *r = &c->bridge_conf->routing;
	cJSON *ips = cJSON_CreateArray(), *rule, *settings = convert_get(j, "settings");
	bool all = o == &c->bridge_conf->outbounds[0] || o->freedom.redirect.kind != ADDR_NONE;
	size_t found = 0;

	for (size_t i = 0; i < r->n_rules; i++) {
		const struct conf_rule *rl = &r->rules[i];

		if (strcmp(rl->outbound_tag, o->tag) != 0 ||
		    (rl->inbound_tags.n && !convert_has(&rl->inbound_tags, l->bridge_tag)))
			continue;
		found++;
		all |= rl->ips.n == 0;
		add_addresses(ips, &rl->ips);
	}
	if ((!found && !all) || convert_get(settings, "finalRules")) {
		cJSON_Delete(ips);
		return;
	}
	if (!cJSON_IsObject(settings)) {
		convert_drop(j, "settings");
		settings = cJSON_AddObjectToObject(j, "settings");
	}
	rule = cJSON_CreateObject();
	cJSON_AddStringToObject(rule, "action", "allow");
	if (all)
		cJSON_Delete(ips);
	else
		cJSON_AddItemToObject(rule, "ip", ips);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(settings, "finalRules"), rule);
	if (all)
		convert_note("outbound %s: finalRules allow everything, as the rules did; "
			     "narrow them to what visitors may reach",
			     o->tag);
}

static void allow_all(struct convert *c, cJSON *outs)
{
	for (size_t i = 0; i < c->bridge_conf->n_outbounds; i++) {
		const struct conf_outbound *o = &c->bridge_conf->outbounds[i];

		if (o->proto != CONF_OUT_FREEDOM)
			continue;
		for (size_t k = 0; k < c->n_links; k++)
			if (c->links[k].bridge_tag)
				allow(c, &c->links[k], o, cJSON_GetArrayItem(outs, (int)i));
	}
}

/* ---- rules and default ---- */

static void convert_rules(struct convert *c, const bool *used)
{
	cJSON *rules = convert_get(convert_get(c->bridge, "routing"), "rules");

	for (int i = cJSON_GetArraySize(rules) - 1; i >= 0; i--) {
		const struct conf_rule *r = &c->bridge_conf->routing.rules[i];
		const struct conf_outbound *o = conf_outbound_find(c->bridge_conf, r->outbound_tag);
		bool empty = false;

		for (size_t k = 0; k < c->n_links; k++)
			empty |= convert_strip_domain(cJSON_GetArrayItem(rules, i),
						      c->links[k].domain);
		if (empty)
			cJSON_DeleteItemFromArray(rules, i);
		else if (o && used[o - c->bridge_conf->outbounds])
			convert_note("rule %zu sends other traffic to %s: a bridge's id may not do "
				     "that; give it an outbound with a visitor's id",
				     r->number, o->tag);
	}
}

/* What comes out of the tunnel must not go back in for want of a rule. */
static void block_first(struct convert *c, cJSON *outs)
{
	const struct conf *conf = c->bridge_conf;
	cJSON *block = NULL;

	for (size_t i = 0; i < conf->n_outbounds && !block; i++)
		if (conf->outbounds[i].proto == CONF_OUT_BLACKHOLE)
			block = cJSON_DetachItemFromArray(outs, (int)i);
	if (!block) {
		block = cJSON_CreateObject();
		cJSON_AddStringToObject(block, "tag", "convert-block");
		cJSON_AddStringToObject(block, "protocol", "blackhole");
	}
	cJSON_InsertItemInArray(outs, 0, block);
	convert_note("what no rule takes is dropped now; it went to the portal before, in a "
		     "circle");
}

int convert_bridge_file(struct convert *c)
{
	cJSON *outs = convert_get(c->bridge, "outbounds");
	bool used[256] = {false};
	int err = 0;

	if (c->bridge_conf->n_outbounds > sizeof(used)) {
		fprintf(stderr, "garenne convert: too many outbounds\n");
		return -ERR_LIMIT;
	}
	for (size_t i = 0; i < c->n_links && !err; i++)
		if (c->links[i].bridge_tag)
			err = convert_link(c, &c->links[i], used, outs);
		else
			convert_note("portal %s: no bridge for %s in this file", c->links[i].tag,
				     c->links[i].domain);
	if (err)
		return err;
	allow_all(c, outs);
	convert_rules(c, used);
	if (used[0])
		block_first(c, outs);
	convert_drop(c->bridge, "reverse");
	return 0;
}
