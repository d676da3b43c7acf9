/* The public side: see convert.h. */
#include <stdio.h>
#include <string.h>

#include "app/convert.h"
#include "base/err.h"
#include "crypto/uuid4.h"

static bool rule_is_for(const struct conf_rule *r, const struct conf_inbound *in)
{
	return r->inbound_tags.n == 0 || convert_has(&r->inbound_tags, in->tag);
}

/* Does some rule bring what arrives at @in to the portal of @l? */
static bool is_entry(const struct convert *c, const struct conf_inbound *in,
		     const struct convert_link *l)
{
	const struct conf_routing *r = &c->portal_conf->routing;

	if (in->proto != CONF_IN_SHADOWSOCKS && in->proto != CONF_IN_VLESS)
		return false;
	for (size_t i = 0; i < r->n_rules; i++)
		if (strcmp(r->rules[i].outbound_tag, l->tag) == 0 && rule_is_for(&r->rules[i], in))
			return true;
	return c->portal_conf->n_outbounds == 0;
}

/* ---- who was the bridge? ---- */

static bool named_by_rule(const struct convert *c, const char *email)
{
	const struct conf_routing *r = &c->portal_conf->routing;

	for (size_t i = 0; i < r->n_rules; i++)
		for (size_t k = 0; k < c->n_links; k++)
			if (convert_names_domain(&r->rules[i], c->links[k].domain) &&
			    strcmp(r->rules[i].outbound_tag, c->links[k].tag) == 0 &&
			    convert_has(&r->rules[i].users, email))
				return true;
	return false;
}

static bool same_key(const struct conf_ss_key *a, const struct conf_ss_key *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

/* With several keys the one that the bridge file holds is the bridge's. */
static bool has_bridge_key(const struct convert *c, const struct conf_in_ss *in,
			   const struct conf_ss_user *u)
{
	if (!c->bridge_conf || in->n_users < 2)
		return false;
	for (size_t i = 0; i < c->bridge_conf->n_outbounds; i++) {
		const struct conf_outbound *o = &c->bridge_conf->outbounds[i];

		if (o->proto != CONF_OUT_SHADOWSOCKS)
			continue;
		if (conf_ss_is_2022(in->method)
			    ? o->ss.n_keys && same_key(&o->ss.keys[o->ss.n_keys - 1], &u->key)
			    : strcmp(o->ss.password, u->password) == 0)
			return true;
	}
	return false;
}

/* ---- users ---- */

static void add_client(cJSON *clients, const char *id, const char *email, const char *reverse)
{
	cJSON *u = cJSON_CreateObject();

	cJSON_AddStringToObject(u, "id", id);
	cJSON_AddStringToObject(u, "email", email);
	if (reverse)
		cJSON_AddStringToObject(cJSON_AddObjectToObject(u, "reverse"), "tag", reverse);
	cJSON_AddItemToArray(clients, u);
}

static void add_bridges(const struct convert *c, const struct conf_inbound *in, cJSON *clients)
{
	for (size_t i = 0; i < c->n_links; i++) {
		char email[160];

		if (!is_entry(c, in, &c->links[i]))
			continue;
		snprintf(email, sizeof(email), "bridge@%.120s", c->links[i].tag);
		add_client(clients, c->links[i].id, email, c->links[i].tag);
	}
}

static void add_visitor(struct convert *c, cJSON *clients, const char *email)
{
	struct convert_visitor *v = &c->visitors[c->n_visitors];
	struct uuid u;

	if (c->n_visitors == CONVERT_VISITORS_MAX || uuid4_make(&u) != 0) {
		convert_note("user %s was left out: too many", email);
		return;
	}
	v->email = email;
	uuid_text(&u, v->id);
	add_client(clients, v->id, email, NULL);
	c->n_visitors++;
}

/* An inbound of bridges alone: each of its own rules asks for a registration
 * name. */
static bool has_visitors(const struct convert *c, const struct conf_inbound *in)
{
	const struct conf_routing *r = &c->portal_conf->routing;
	size_t own = 0, registrations = 0;

	for (size_t i = 0; i < r->n_rules; i++) {
		bool named = false;

		if (!convert_has(&r->rules[i].inbound_tags, in->tag))
			continue;
		for (size_t k = 0; k < c->n_links; k++)
			named |= convert_names_domain(&r->rules[i], c->links[k].domain);
		own++;
		registrations += named;
	}
	return own == 0 || own > registrations;
}

static cJSON *clients_from_ss(struct convert *c, const struct conf_inbound *in)
{
	cJSON *clients = cJSON_CreateArray();
	size_t before = c->n_visitors;

	add_bridges(c, in, clients);
	if (!has_visitors(c, in))
		return clients;
	for (size_t i = 0; i < in->ss.n_users; i++) {
		const struct conf_ss_user *u = &in->ss.users[i];

		if (named_by_rule(c, u->email) || has_bridge_key(c, &in->ss, u))
			continue;
		if (*u->email == 0 && in->ss.n_users > 1)
			convert_note("%s: a user without email is called \"visitor\" now", in->tag);
		add_visitor(c, clients, *u->email ? u->email : "visitor");
	}
	/* An inbound for bridges alone has one key and no visitors, but who can tell
	 * that? */
	if (c->n_visitors == before)
		convert_note("%s: no visitor has a key of its own; add users for them to "
			     "\"clients\" (garenne uuid)",
			     in->tag);
	return clients;
}

/* ---- inbounds ---- */

static void add_lines(cJSON *obj, const char *key, const char *pem)
{
	cJSON *list = cJSON_AddArrayToObject(obj, key);

	while (*pem) {
		char line[128];
		size_t n = strcspn(pem, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, pem);
		cJSON_AddItemToArray(list, cJSON_CreateString(line));
		pem += n + (pem[n] == '\n');
	}
}

static void add_tls(const struct convert *c, cJSON *in)
{
	cJSON *stream = convert_get(in, "streamSettings"), *cert;

	if (!cJSON_IsObject(stream)) {
		convert_drop(in, "streamSettings");
		stream = cJSON_AddObjectToObject(in, "streamSettings");
	}
	convert_drop(stream, "security");
	convert_drop(stream, "tlsSettings");
	if (!convert_get(stream, "network") && !convert_get(stream, "method"))
		cJSON_AddStringToObject(stream, "network", "raw");
	cJSON_AddStringToObject(stream, "security", "tls");
	cert = cJSON_CreateObject();
	add_lines(cert, "certificate", c->cert);
	add_lines(cert, "key", c->key);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(cJSON_AddObjectToObject(stream, "tlsSettings"),
						    "certificates"),
			     cert);
}

static void entry_from_ss(struct convert *c, const struct conf_inbound *in, cJSON *j)
{
	cJSON *settings = cJSON_CreateObject();

	cJSON_AddStringToObject(settings, "decryption", "none");
	cJSON_AddItemToObject(settings, "clients", clients_from_ss(c, in));
	cJSON_ReplaceItemInObject(j, "protocol", cJSON_CreateString("vless"));
	cJSON_ReplaceItemInObject(j, "settings", settings);
	add_tls(c, j);
	convert_note("inbound %s: Shadowsocks became VLESS over TLS with a "
		     "certificate of its own; "
		     "programs that used the old key need the new id",
		     in->tag);
	if (in->ss.networks & CONF_UDP)
		convert_note("inbound %s: UDP travels inside TCP now; the UDP port can be closed",
			     in->tag);
}

static void entry_from_vless(struct convert *c, const struct conf_inbound *in, cJSON *j)
{
	cJSON *settings = convert_get(j, "settings");
	cJSON *clients = convert_get(settings, "clients");

	if (!cJSON_IsArray(clients))
		clients = convert_get(settings, "users");
	for (int i = cJSON_GetArraySize(clients) - 1; i >= 0; i--) {
		const cJSON *email = convert_get(cJSON_GetArrayItem(clients, i), "email");

		if (cJSON_IsString(email) && named_by_rule(c, email->valuestring))
			cJSON_DeleteItemFromArray(clients, i);
	}
	add_bridges(c, in, clients);
	if (!in->stream.tls) {
		add_tls(c, j);
		convert_note("inbound %s: TLS added, since VLESS does not encrypt; visitors "
			     "need it too",
			     in->tag);
	}
}

static int convert_inbounds(struct convert *c)
{
	const cJSON *list = convert_get(c->portal, "inbounds");
	size_t entries = 0;

	for (size_t i = 0; i < c->portal_conf->n_inbounds; i++) {
		const struct conf_inbound *in = &c->portal_conf->inbounds[i];
		cJSON *j = cJSON_GetArrayItem(list, (int)i);
		bool entry = false;

		for (size_t k = 0; k < c->n_links; k++)
			entry |= is_entry(c, in, &c->links[k]);
		if (!entry)
			continue;
		entries++;
		if (in->proto == CONF_IN_SHADOWSOCKS)
			entry_from_ss(c, in, j);
		else
			entry_from_vless(c, in, j);
	}
	if (entries)
		return 0;
	fprintf(stderr, "garenne convert: no rule leads from a Shadowsocks or VLESS inbound to a "
			"portal, so there is nothing to put the bridges on\n");
	return -ERR_MALFORMED;
}

/* ---- the rest ---- */

static void convert_rules(struct convert *c)
{
	cJSON *rules = convert_get(convert_get(c->portal, "routing"), "rules");

	for (int i = cJSON_GetArraySize(rules) - 1; i >= 0; i--) {
		bool empty = false;

		for (size_t k = 0; k < c->n_links; k++)
			empty |= convert_strip_domain(cJSON_GetArrayItem(rules, i),
						      c->links[k].domain);
		if (empty)
			cJSON_DeleteItemFromArray(rules, i);
	}
}

int convert_portal_file(struct convert *c)
{
	cJSON *outs, *block;
	int err = convert_inbounds(c);

	if (err)
		return err;
	convert_rules(c);
	convert_drop(c->portal, "reverse");
	if (c->portal_conf->n_outbounds)
		return 0;
	convert_drop(c->portal, "outbounds");
	outs = cJSON_AddArrayToObject(c->portal, "outbounds");
	block = cJSON_CreateObject();
	cJSON_AddStringToObject(block, "tag", "block");
	cJSON_AddStringToObject(block, "protocol", "blackhole");
	cJSON_AddItemToArray(outs, block);
	convert_note("the portal was the default outbound; a blackhole is now, so "
		     "what no rule "
		     "takes is dropped");
	return 0;
}
