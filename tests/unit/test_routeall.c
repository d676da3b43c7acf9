/*
 * route: the compiled router against one that goes through the texts of the rules
 * one by one, on random rules and flows; both follow the resolver that the test
 * plays. What the reference does is what Xray does, without any of its or our
 * ways of doing it fast.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route_kit.h"

static uint64_t rnd_state = 0x452821e638d01377;

static uint32_t rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % n;
}

/* ---- what rules and flows are made of ---- */

#define PICK(pool) ((pool)[rnd(sizeof(pool) / sizeof((pool)[0]))])

static const char *const tags[] = {"in", "vpn", "bridge", "In", ""};
static const char *const users[] = {"a@x", "A@x", "b@x", "regexp:^b", "regexp:(", ""};
static const char *const flow_users[] = {"a@x", "A@x", "b@x", "b@y", NULL, ""};
static const char *const protocols[] = {"http", "tls", "quic", ""};
static const char *const flow_protocols[] = {"http1", "http2", "tls", NULL};
static const char *const ips[] = {
	"10.0.0.0/8",  "10.1.0.0/16",	"10.1.1.1",	    "!10.2.0.0/16", "192.168.0.0/16",
	"0.0.0.0/0",   "2001:db8::/32", "!2001:db8:1::/48", "geoip:aa",	    "geoip:!bb",
	"!geoip:aa",   "!!10.1.1.2",	"::ffff:10.1.1.3",  "10.1.1.4",	    "10.1.1.5",
	"2001:db8::1", "10.1.1.0/24",	"geoip:private",
};
static const char *const flow_ips[] = {
	"10.0.0.1", "10.1.1.1",	   "10.1.1.2",	    "10.1.1.3", "10.2.3.4",   "192.168.1.1",
	"8.8.8.8",  "2001:db8::1", "2001:db8:1::1", "2600::1",	"172.16.0.1", "10.1.1.4",
};
static const char *const domains[] = {
	"full:a.org",	"full:b.a.org",
	"domain:a.org", "domain:ORG",
	"keyword:b.a",	"c.",
	"dotless:",	"dotless:na",
	"geosite:list", "geosite:list@cn",
	"regexp:^d",	"full:nas",
	"domain:b.org", "full:c.b.a.org",
	"domain:net",	"geosite:list@cn@ads",
};
static const char *const flow_names[] = {"a.org", "b.a.org", "c.b.a.org", "A.Org", "nas",
					 "d.net", "e.com",   "xa.org",	  "b.org", "d"};

static const struct {
	unsigned type;
	const char *value, *attr1, *attr2;
} listed[] = {
	{3, "a.org", "cn", NULL},
	{2, "b.org", "ads", "cn"},
	{0, "nas", NULL, NULL},
	{1, "^e", "cn", NULL},
};

static const char *const aa[] = {"10.1.0.0/16", "2600::/16", NULL};
static const char *const bb[] = {"192.168.0.0/16", NULL};

static struct kit_folder folder;

static int make_files(void **state)
{
	struct kit_bytes file = {0}, list = {0};

	(void)state;
	kit_folder_make(&folder);
	kit_field(&list, 1, "AA", 2);
	for (size_t i = 0; aa[i]; i++)
		kit_cidr(&list, aa[i]);
	kit_message(&file, 1, &list);
	kit_field(&list, 1, "BB", 2);
	for (size_t i = 0; bb[i]; i++)
		kit_cidr(&list, bb[i]);
	kit_message(&file, 1, &list);
	kit_write(&folder, "geoip.dat", &file);
	kit_field(&list, 1, "LIST", 4);
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
		kit_domain(&list, listed[i].type, listed[i].value, listed[i].attr1,
			   listed[i].attr2);
	kit_message(&file, 1, &list);
	kit_write(&folder, "geosite.dat", &file);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	kit_folder_remove(&folder);
	return 0;
}

/* ---- the reference ---- */

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, span_str(text)), 0);
	return ip;
}

static bool in_prefix(const char *prefix, const struct ip *ip)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(prefix)), 0);
	return prefix_has(&p, ip);
}

static bool same_family(const char *prefix, const struct ip *ip)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(prefix)), 0);
	return p.ip.family == ip->family;
}

/* One entry without its "!": is the address in it, and has it the family at all? */
static bool in_entry(const char *entry, const struct ip *ip, bool *family)
{
	const char *const *list = strcmp(entry, "geoip:aa") == 0 ? aa : bb;
	bool in = false;

	if (strcmp(entry, "geoip:private") == 0) {
		*family = true;
		return ip_is_private(ip);
	}
	if (strncmp(entry, "geoip:", 6) != 0) {
		*family |= same_family(entry, ip);
		return in_prefix(entry, ip);
	}
	for (; *list; list++) {
		*family |= same_family(*list, ip);
		in |= in_prefix(*list, ip);
	}
	return in;
}

static bool naive_ip(const struct conf_strs *list, const struct ip *ip)
{
	bool in[4] = {false}, family[4] = {false};

	for (size_t i = 0; i < list->n; i++) {
		const char *e = list->v[i];
		bool inverse = false;
		char clean[64];
		int sort;

		for (; *e == '!'; e++)
			inverse = !inverse;
		snprintf(clean, sizeof(clean), "%s", e);
		if (strncmp(clean, "geoip:!", 7) == 0) {
			inverse = !inverse;
			snprintf(clean, sizeof(clean), "geoip:%s", e + 7);
		}
		sort = (strncmp(clean, "geoip:", 6) == 0 ? 2 : 0) + inverse;
		in[sort] |= in_entry(clean, ip, &family[sort]);
	}
	for (int sort = 0; sort < 4; sort++)
		if (family[sort] && in[sort] != (sort % 2 == 1))
			return true;
	return false;
}

static bool naive_ips(const struct conf_strs *list, const struct ip *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (naive_ip(list, &v[i]))
			return true;
	return list->n == 0;
}

static void lower(char *out, size_t cap, const char *s)
{
	size_t i = 0;

	for (; s[i] && i + 1 < cap; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
	out[i] = '\0';
}

static bool is_below(const char *name, const char *parent)
{
	size_t n = strlen(name), m = strlen(parent);

	return n >= m && strcmp(name + n - m, parent) == 0 && (n == m || name[n - m - 1] == '.');
}

static bool naive_listed(const char *attrs, const char *name)
{
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++) {
		const char *a1 = listed[i].attr1 ? listed[i].attr1 : "";
		const char *a2 = listed[i].attr2 ? listed[i].attr2 : "";
		bool cn = strcmp(a1, "cn") == 0 || strcmp(a2, "cn") == 0;
		bool ads = strcmp(a1, "ads") == 0 || strcmp(a2, "ads") == 0;

		if ((strstr(attrs, "@cn") && !cn) || (strstr(attrs, "@ads") && !ads))
			continue;
		if ((listed[i].type == 3 && strcmp(name, listed[i].value) == 0) ||
		    (listed[i].type == 2 && is_below(name, listed[i].value)) ||
		    (listed[i].type == 0 && strstr(name, listed[i].value)) ||
		    (listed[i].type == 1 && name[0] == listed[i].value[1]))
			return true;
	}
	return false;
}

static bool naive_domain(const char *rule, const char *name)
{
	char low[64];

	lower(low, sizeof(low), rule);
	if (strncmp(low, "geosite:", 8) == 0)
		return naive_listed(low + 8, name);
	if (strncmp(low, "full:", 5) == 0)
		return strcmp(name, low + 5) == 0;
	if (strncmp(low, "domain:", 7) == 0)
		return is_below(name, low + 7);
	if (strncmp(low, "dotless:", 8) == 0)
		return !strchr(name, '.') && strstr(name, low + 8);
	if (strncmp(low, "regexp:^", 8) == 0)
		return name[0] == low[8];
	return strstr(name, strncmp(low, "keyword:", 8) == 0 ? low + 8 : low) != NULL;
}

static bool naive_domains(const struct conf_strs *list, const char *name)
{
	char low[64];

	if (list->n == 0)
		return true;
	if (!name)
		return false;
	lower(low, sizeof(low), name);
	for (size_t i = 0; i < list->n; i++)
		if (naive_domain(list->v[i], low))
			return true;
	return false;
}

static bool naive_text(const struct conf_strs *list, const char *text)
{
	if (list->n == 0)
		return true;
	for (size_t i = 0; text && *text && i < list->n; i++)
		if (strcmp(list->v[i], text) == 0 ||
		    (strcmp(list->v[i], "regexp:^b") == 0 && text[0] == 'b'))
			return true;
	return false;
}

static bool naive_protocol(const struct conf_strs *list, const char *text)
{
	if (list->n == 0)
		return true;
	for (size_t i = 0; text && i < list->n; i++)
		if (list->v[i][0] && strncmp(text, list->v[i], strlen(list->v[i])) == 0)
			return true;
	return false;
}

static bool naive_port(const struct conf_ports *list, uint16_t port)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].from <= port && port <= list->v[i].to)
			return true;
	return !list->given;
}

static bool naive_rule(const struct conf_rule *r, const struct route_attrs *a, const char *name,
		       const struct ip *v, size_t n)
{
	return naive_text(&r->inbound_tags, a->inbound_tag) &&
	       (!r->networks || (r->networks & a->network)) &&
	       naive_protocol(&r->protocols, a->protocol) &&
	       naive_port(&r->ports, a->target->port) &&
	       naive_port(&r->source_ports, a->source.port) && naive_text(&r->users, a->user) &&
	       naive_ips(&r->ips, v, n) &&
	       naive_ips(&r->source_ips, &a->source.ip, a->source.ip.family ? 1 : 0) &&
	       naive_domains(&r->domains, name);
}

/* The addresses that the resolver of this test knows for a name: none, one or two. */
static size_t resolve(const char *name, struct ip out[2])
{
	size_t h = strlen(name) + (unsigned char)name[0];
	size_t n = h % 3;

	for (size_t i = 0; i < n; i++)
		out[i] = ip_of(flow_ips[(h + i * 5) % (sizeof(flow_ips) / sizeof(flow_ips[0]))]);
	return n;
}

/* The number of the rule, or 0. */
static size_t naive_pick(const struct conf_routing *c, const struct route_attrs *a)
{
	const char *name = a->sniffed_name;
	const struct ip *own = a->target->kind == ADDR_IP ? &a->target->ip : NULL, *v = own;
	size_t n_own = own ? 1 : 0, n = n_own, n_found = 0;
	struct ip found[2];

	if (!name && a->target->kind == ADDR_NAME)
		name = a->target->name;
	if (name)
		n_found = resolve(name, found);
	if (c->strategy == CONF_ROUTE_IP_ON_DEMAND && n_found) {
		v = found;
		n = n_found;
	}
	for (size_t i = 0; i < c->n_rules; i++)
		if (naive_rule(&c->rules[i], a, name, v, n))
			return i + 1;
	if (c->strategy != CONF_ROUTE_IP_IF_NON_MATCH || !name)
		return 0;
	for (size_t i = 0; i < c->n_rules; i++)
		if (naive_rule(&c->rules[i], a, name, n_found ? found : own,
			       n_found ? n_found : n_own))
			return i + 1;
	return 0;
}

/* ---- random rules ---- */

enum { RULES = 120, LIST = 70 };

static struct conf_rule rules[RULES];
static const char *texts[RULES][5][LIST];
static struct conf_port_range ranges[RULES][2][3];
static char many[RULES][LIST][24];

static struct conf_strs rnd_list(const char **to, const char *const *pool, size_t n_pool)
{
	struct conf_strs list = {to, 0};

	if (rnd(4) > 0)
		return list;
	list.n = 1 + rnd(3);
	for (size_t i = 0; i < list.n; i++)
		to[i] = pool[rnd((uint32_t)n_pool)];
	return list;
}

#define LIST_OF(to, pool) rnd_list(to, pool, sizeof(pool) / sizeof((pool)[0]))

static struct conf_ports rnd_ports(struct conf_port_range *to)
{
	struct conf_ports p = {to, 0, rnd(8) == 0};

	for (size_t n = p.given ? rnd(4) : 0; p.n < n; p.n++)
		to[p.n] = (struct conf_port_range){(uint16_t)rnd(5), (uint16_t)rnd(6)};
	return p;
}

/* More entries than an index takes, most of which hit nothing. */
static struct conf_strs rnd_many(size_t rule)
{
	for (size_t i = 0; i < LIST; i++) {
		if (i == 40)
			snprintf(many[rule][i], sizeof(many[rule][i]), "%s", PICK(flow_ips));
		else
			snprintf(many[rule][i], sizeof(many[rule][i]), "9.%u.0.0/16", rnd(256));
		texts[rule][3][i] = many[rule][i];
	}
	return (struct conf_strs){texts[rule][3], LIST};
}

static void rnd_rule(struct conf_rule *r, size_t i)
{
	*r = (struct conf_rule){.number = i + 1,
				.rule_tag = "",
				.outbound_tag = "out",
				.balancer_tag = "",
				.inbound_tags = LIST_OF(texts[i][0], tags),
				.users = LIST_OF(texts[i][1], users),
				.protocols = LIST_OF(texts[i][2], protocols),
				.ips = LIST_OF(texts[i][3], ips),
				.domains = LIST_OF(texts[i][4], domains),
				.ports = rnd_ports(ranges[i][0]),
				.source_ports = rnd_ports(ranges[i][1])};
	if (rnd(30) == 0)
		r->ips = rnd_many(i);
	if (rnd(3) == 0) {
		r->source_ips = r->ips;
		if (rnd(2))
			r->ips.n = 0;
	}
	if (rnd(4) == 0 ||
	    (!r->inbound_tags.n && !r->users.n && !r->protocols.n && !r->ips.n && !r->domains.n &&
	     !r->ports.given && !r->source_ports.given && !r->source_ips.n))
		r->networks = 1 + rnd(3);
}

/* A rule for nearly everything would hide the others: it gets one more condition. */
static void narrow(struct conf_rule *r, size_t i)
{
	if (r->domains.n + r->ips.n + r->users.n + r->source_ips.n + r->inbound_tags.n > 1)
		return;
	texts[i][4][0] = PICK(domains);
	r->domains = (struct conf_strs){texts[i][4], 1};
}

static void rnd_flow(struct route_attrs *a, struct addr *target)
{
	const char *name = PICK(flow_names);
	struct ip ip = ip_of(PICK(flow_ips));

	memset(a, 0, sizeof(*a));
	*target = addr_from_ip(&ip, (uint16_t)rnd(6));
	if (rnd(2)) {
		assert_int_equal(addr_set_host(target, span_str(name), target->port), 0);
	} else if (rnd(3) == 0) {
		a->sniffed_name = name;
	}
	a->target = target;
	a->network = 1u << rnd(2);
	a->inbound_tag = rnd(6) ? PICK(tags) : NULL;
	a->user = PICK(flow_users);
	a->protocol = PICK(flow_protocols);
	if (rnd(5))
		a->source = (struct ipport){ip_of(PICK(flow_ips)), (uint16_t)rnd(6)};
}

static int lookups;

static size_t compiled_pick(const struct router *r, struct route_attrs a,
			    enum conf_domain_strategy strategy)
{
	struct route_pick p = {0};
	struct ip found[2];

	if (router_pick(r, &a, &p) == ROUTE_NEED_IPS) {
		assert_int_not_equal(strategy, CONF_ROUTE_AS_IS);
		a.resolved = true;
		a.ips = found;
		a.n_ips = resolve(p.resolve, found);
		lookups++;
		assert_int_not_equal(router_pick(r, &a, &p), ROUTE_NEED_IPS);
	}
	if (p.verdict == ROUTE_NONE)
		return 0;
	assert_string_equal(p.outbound_tag, "out");
	return p.rule->number;
}

static void compiled_and_naive_agree(void **state)
{
	int picks = 0, hit = 0;

	(void)state;
	for (int round = 0; round < 600; round++) {
		struct conf_routing c = {.rules = rules,
					 .n_rules = round % 3 ? 1 + rnd(12) : RULES,
					 .strategy = (enum conf_domain_strategy)rnd(3)};
		struct lists *l = lists_new();
		struct kit_report k;
		struct router *r;

		for (size_t i = 0; i < c.n_rules; i++) {
			rnd_rule(&rules[i], i);
			if (c.n_rules == RULES)
				narrow(&rules[i], i);
		}
		kit_report_init(&k);
		r = router_new(&c, l, 0, &k.r);
		lists_free(l);
		if (!r)
			fail_msg("%s", k.first_error);
		for (int q = 0; q < 250; q++) {
			struct route_attrs a;
			struct addr target;
			size_t want, got;

			rnd_flow(&a, &target);
			want = naive_pick(&c, &a);
			got = compiled_pick(r, a, c.strategy);
			if (want != got)
				fail_msg("round %d flow %d: rule %zu, expected %zu", round, q, got,
					 want);
			hit += want > 0;
			picks++;
		}
		router_free(r);
	}
	/* the comparison is worth something only if both answers are common */
	assert_in_range(hit, picks / 5, picks - picks / 20);
	assert_in_range(lookups, picks / 20, picks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_and_naive_agree),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
