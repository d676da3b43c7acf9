/* Settings of the dns outbound. */
#include <string.h>
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

enum { RCODE_REFUSED = 5, TYPE_A = 1, TYPE_AAAA = 28 };

/* Every record type but A and AAAA: what "nonIPQuery" of older files speaks of. */
static const struct conf_port_range non_ip[] = {
	{0, TYPE_A - 1},
	{TYPE_A + 1, TYPE_AAAA - 1},
	{TYPE_AAAA + 1, 65535},
};

static void rule_parse(const struct jnode *n, struct conf_dns_rule *out)
{
	static const struct key keys[] = {KNOWN("action"), KNOWN("qType"), KNOWN("domain"),
					  KNOWN("rCode"), KEYS_END};
	static const struct word actions[] = {{"direct", CONF_DNS_DIRECT},
					      {"drop", CONF_DNS_DROP},
					      {"return", CONF_DNS_RETURN},
					      {"hijack", CONF_DNS_HIJACK},
					      {NULL, 0}};
	struct jnode action, rcode;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	if (!jnode_get(n, "action", &action))
		jnode_error(&action, "found nothing, expected direct, drop, return or hijack");
	out->action = (enum conf_dns_action)jnode_word(n, "action", actions, CONF_DNS_DROP);
	out->qtypes = jnode_ports(n, "qType");
	out->domains = jnode_strs(n, "domain");
	out->rcode = (uint16_t)jnode_int(n, "rCode", 0, 15, 0);
	if (out->action == CONF_DNS_RETURN && !jnode_get(n, "rCode", &rcode))
		jnode_error(&rcode, "found nothing, but action \"return\" needs a response code");
}

static void rules_parse(const struct jnode *list, struct conf_out_dns *out)
{
	size_t n = jnode_count(list), i = 0;
	struct conf_dns_rule *v = conf_arena_array(list->ld->arena, n, sizeof(*v));
	struct jnode it;

	if (!v)
		return;
	jnode_each(it, list) rule_parse(&it, &v[i++]);
	out->rules = v;
	out->n_rules = n;
}

/* "blockTypes": record types that get what other non-IP queries get, "skip" excepted. */
static struct conf_ports block_types(const struct jnode *settings)
{
	struct conf_port_range *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(settings, "blockTypes", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return (struct conf_ports){NULL, 0, false};
	jnode_each(it, &list)
	{
		v[i].from = v[i].to = (uint16_t)jnode_integer(&it, 0, 65535, 0);
		i++;
	}
	return (struct conf_ports){v, n, true};
}

/* The two older keys, written as rules. */
static void legacy_parse(const struct jnode *settings, struct conf_out_dns *out)
{
	enum { REJECT, DROP, SKIP };
	static const struct word words[] = {
		{"reject", REJECT}, {"", REJECT}, {"drop", DROP}, {"skip", SKIP}, {NULL, 0}};
	struct conf_ports blocked = block_types(settings);
	struct conf_dns_rule *v = conf_arena_array(settings->ld->arena, 2, sizeof(*v));
	int kind = jnode_word(settings, "nonIPQuery", words, REJECT);
	size_t n = 0;

	if (!v)
		return;
	if (blocked.given)
		v[n++] = (struct conf_dns_rule){
			.at = jnode_at(settings),
			.action = kind == REJECT ? CONF_DNS_RETURN : CONF_DNS_DROP,
			.qtypes = blocked,
			.rcode = kind == REJECT ? RCODE_REFUSED : 0,
		};
	v[n++] = (struct conf_dns_rule){
		.at = jnode_at(settings),
		.action = kind == SKIP	 ? CONF_DNS_DIRECT
			  : kind == DROP ? CONF_DNS_DROP
					 : CONF_DNS_RETURN,
		.qtypes = {non_ip, sizeof(non_ip) / sizeof(non_ip[0]), true},
		.rcode = kind == REJECT ? RCODE_REFUSED : 0,
	};
	out->rules = v;
	out->n_rules = n;
}

static void zones_parse(const struct jnode *settings, struct conf_out_dns *out)
{
	struct jnode list, it;
	struct prefix p;
	struct ip ip;

	out->zones = jnode_strs(settings, "zones");
	jnode_get(settings, "zones", &list);
	jnode_each(it, &list)
	{
		const char *text = jnode_text(&it, "");

		if (strchr(text, '/') ? prefix_parse(&p, span_str(text)) != 0 :
					*text == 0 || *text == '.' || strchr(text, ':'))
			jnode_error(&it, "found \"%.60s\", expected what names end in, like home.mesh, or "
					 "a prefix for the names of its addresses", text);
	}
	conf_parse_hosts(settings, &out->hosts, &out->n_hosts);
	for (size_t i = 0; i < out->n_hosts; i++) {
		const struct conf_dns_host *h = &out->hosts[i];
		bool good = !strchr(h->rule, ':') || strncmp(h->rule, "full:", 5) == 0;

		for (size_t k = 0; k < h->values.n; k++)
			good &= ip_parse(&ip, span_str(h->values.v[k])) == 0;
		jnode_get(settings, "hosts", &list);
		if (!good)
			jnode_error(&list, "\"%.60s\": expected one whole name and its addresses", h->rule);
	}
	if (out->n_hosts && out->zones.n == 0)
		jnode_error(&list, "expected \"zones\" beside it, which say what is answered by it");
}

void conf_parse_dnsout(const struct jnode *settings, struct conf_out_dns *out)
{
	static const struct key keys[] = {
		KNOWN("rewriteNetwork"),
		KNOWN("network"),
		KNOWN("rewriteAddress"),
		KNOWN("address"),
		KNOWN("rewritePort"),
		KNOWN("port"),
		KNOWN("userLevel"),
		KNOWN("rules"),
		KNOWN("nonIPQuery"),
		KNOWN("blockTypes"),
		KNOWN("zones"),
		KNOWN("hosts"),
		KEYS_END,
	};
	static const struct word networks[] = {
		{"tcp", CONF_TCP}, {"udp", CONF_UDP}, {"", 0}, {NULL, 0}};
	struct jnode n, rules;
	const char *key;
	bool legacy;

	jnode_object(settings, keys);
	jnode_get2(settings, "network", "rewriteNetwork", &n);
	key = n.key;
	out->network = (unsigned)jnode_word(settings, key, networks, 0);
	jnode_get2(settings, "address", "rewriteAddress", &n);
	jnode_host_value(&n, &out->rewrite);
	jnode_get2(settings, "port", "rewritePort", &n);
	out->rewrite.port = (uint16_t)jnode_integer(&n, 0, 65535, 0);
	out->level = conf_parse_level(settings, "userLevel");
	legacy = jnode_get(settings, "nonIPQuery", &n) || jnode_get(settings, "blockTypes", &n);
	if (jnode_get(settings, "rules", &rules) && legacy)
		jnode_error(&rules, "legacy nonIPQuery and blockTypes cannot be mixed with rules");
	else if (legacy)
		legacy_parse(settings, out);
	else
		rules_parse(&rules, out);
	zones_parse(settings, out);
}
