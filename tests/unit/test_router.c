/* route: what a rule means, condition by condition, and how a pick goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route_kit.h"

enum { BOTH = CONF_TCP | CONF_UDP };

/* A router of these rules; each goes to the outbound named in it, "hit" where none is. */
static struct conf_routing routing;
static struct conf_rule rules[40];

static struct router *router_of(const struct conf_rule *v, size_t n,
				enum conf_domain_strategy strategy, struct kit_report *k)
{
	struct lists *l = lists_new();
	struct router *r;

	assert_true(n <= sizeof(rules) / sizeof(rules[0]));
	for (size_t i = 0; i < n; i++) {
		rules[i] = v[i];
		rules[i].number = i + 1;
		rules[i].rule_tag = "";
		if (!rules[i].outbound_tag)
			rules[i].outbound_tag = rules[i].balancer_tag ? "" : "hit";
		if (!rules[i].balancer_tag)
			rules[i].balancer_tag = "";
	}
	routing.rules = rules;
	routing.n_rules = n;
	routing.strategy = strategy;
	kit_report_init(k);
	r = router_new(&routing, l, 1, &k->r);
	lists_free(l);
	return r;
}

/* A flow that most rules below are asked about. */
static struct addr target;

static struct route_attrs flow_to(const char *to)
{
	target = kit_addr(to);
	return (struct route_attrs){
		.inbound_tag = "in",
		.network = CONF_TCP,
		.source = kit_ipport("192.168.1.7:40000"),
		.local = kit_ipport("192.168.1.1:1080"),
		.user = "ann@example.org",
		.vless_route = 3,
		.target = &target,
		.protocol = "http1",
	};
}

static bool hits(struct conf_rule rule, const struct route_attrs *a)
{
	struct kit_report k;
	struct router *r = router_of(&rule, 1, CONF_ROUTE_AS_IS, &k);
	struct route_pick p = {0};
	bool hit;

	if (!r)
		fail_msg("%s", k.first_error);
	hit = router_pick(r, a, &p) == ROUTE_RULE;
	if (hit) {
		assert_string_equal(p.outbound_tag, "hit");
		assert_int_equal(p.rule->number, 1);
		assert_null(p.balancer);
	}
	router_free(r);
	return hit;
}

#define YES(...) assert_true(hits((struct conf_rule){__VA_ARGS__}, &a))
#define NO(...) assert_false(hits((struct conf_rule){__VA_ARGS__}, &a))

static void conditions_on_numbers_and_texts(void **state)
{
	struct route_attrs a = flow_to("www.example.org:443");

	(void)state;
	YES(.inbound_tags = STRS("x", "in"));
	NO(.inbound_tags = STRS("IN"));
	NO(.inbound_tags = STRS(""));
	YES(.networks = CONF_TCP);
	YES(.networks = BOTH);
	NO(.networks = CONF_UDP);
	YES(.protocols = STRS("tls", "http")); /* a prefix of what was sniffed */
	NO(.protocols = STRS("http11"));
	NO(.protocols = STRS(""));
	YES(.ports = PORTS({80, 80}, {440, 443}));
	NO(.ports = PORTS({80, 80}, {444, 500}));
	NO(.ports = {.given = true});
	YES(.source_ports = PORTS({40000, 40000}));
	NO(.source_ports = PORTS({0, 39999}, {40001, 65535}));
	YES(.local_ports = PORTS({1080, 1080}));
	NO(.local_ports = PORTS({443, 443}));
	YES(.vless_routes = PORTS({3, 3}));
	NO(.vless_routes = PORTS({0, 2}));
	YES(.users = STRS("ann@example.org"));
	NO(.users = STRS("Ann@example.org"));
	YES(.users = STRS("regexp:^ann@"));
	NO(.users = STRS("regexp:^Ann@"));
	NO(.users = STRS("regexp:("));
	YES(.users = STRS("regexp:(", "ann@example.org"));
	YES(.local_os = STRS("windows", "linux"));
	NO(.local_os = STRS("windows"));
	/* AND between conditions */
	YES(.inbound_tags = STRS("in"), .networks = CONF_TCP, .ports = PORTS({443, 443}));
	NO(.inbound_tags = STRS("in"), .networks = CONF_TCP, .ports = PORTS({80, 80}));
}

static void overlapping_and_reversed_ports(void **state)
{
	struct route_attrs a = flow_to("www.example.org:443");

	(void)state;
	YES(.ports = PORTS({400, 500}, {1, 410}, {300, 420}, {65535, 65535}));
	NO(.ports = PORTS({500, 400}));
	a = flow_to("www.example.org:65535");
	YES(.ports = PORTS({65535, 65535}));
	a = flow_to("www.example.org:0");
	YES(.ports = PORTS({0, 0}));
}

static void a_flow_that_has_little(void **state)
{
	struct route_attrs a = flow_to("10.0.0.1:80");

	(void)state;
	/* as from a classic bridge: no source, no user, nothing sniffed */
	a.source = a.local = (struct ipport){0};
	a.user = a.protocol = NULL;
	a.vless_route = 0;
	NO(.users = STRS("regexp:.*"));
	NO(.users = STRS(""));
	NO(.protocols = STRS("http"));
	NO(.source_ips = STRS("0.0.0.0/0", "::/0"));
	NO(.source_ips = STRS("!10.0.0.0/8", "!::/8"));
	NO(.local_ips = STRS("0.0.0.0/0", "::/0"));
	YES(.source_ports = PORTS({0, 0}));
	YES(.vless_routes = PORTS({0, 0}));
	NO(.processes = STRS("curl"));
	YES(.ips = STRS("10.0.0.0/8"));
	a.inbound_tag = NULL;
	NO(.inbound_tags = STRS("in"));
	a.inbound_tag = "";
	NO(.inbound_tags = STRS("in", ""));
}

static void conditions_on_addresses(void **state)
{
	struct route_attrs a = flow_to("10.1.2.3:80");

	(void)state;
	YES(.ips = STRS("10.0.0.0/8"));
	NO(.ips = STRS("!10.0.0.0/8"));
	YES(.ips = STRS("geoip:private"));
	YES(.source_ips = STRS("192.168.1.0/24"));
	NO(.source_ips = STRS("192.168.2.0/24"));
	YES(.local_ips = STRS("192.168.1.1"));
	NO(.local_ips = STRS("192.168.1.7"));
	NO(.domains = STRS("10.1.2.3"));
	NO(.domains = STRS("keyword:10"), .ips = STRS("10.0.0.0/8"));
	a = flow_to("www.example.org:80");
	NO(.ips = STRS("0.0.0.0/0", "::/0"));
	NO(.ips = STRS("!10.0.0.0/8"));
	YES(.domains = STRS("domain:EXAMPLE.org"));
	NO(.domains = STRS("full:example.org"));
	NO(.domains = STRS("domain:example.org"), .ips = STRS("0.0.0.0/0"));
}

/* routeOnly: the rules see the name and the address that is dialled. */
static void a_sniffed_name_beside_an_address(void **state)
{
	struct route_attrs a = flow_to("10.1.2.3:443");

	(void)state;
	a.sniffed_name = "WWW.example.org";
	YES(.domains = STRS("domain:example.org"));
	YES(.ips = STRS("10.0.0.0/8"));
	YES(.domains = STRS("domain:example.org"), .ips = STRS("10.0.0.0/8"));
	a.sniffed_name = "";
	NO(.domains = STRS("domain:example.org"));
}

static struct span header(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "host") == 0)
		return span_str("Example.ORG");
	if (strcmp(name, ":method") == 0)
		return span_str("GET");
	if (strcmp(name, "x-empty") == 0)
		return span_str("");
	return span_of(NULL, 0);
}

#define ATTRS(...)                                                                                 \
	.attrs = (const struct conf_attr[]){__VA_ARGS__},                                          \
	.n_attrs = sizeof((const struct conf_attr[]){__VA_ARGS__}) / sizeof(struct conf_attr)

static void conditions_on_headers(void **state)
{
	struct route_attrs a = flow_to("www.example.org:80");
	struct kit_report k;
	struct conf_rule bad = {ATTRS({"host", "a("})};

	(void)state;
	NO(ATTRS({":method", "GET"})); /* a flow without attributes */
	a.attr = header;
	YES(ATTRS({":method", "GET"}));
	YES(ATTRS({":method", "GET"}, {"host", "(?i)example\\.org$"}));
	NO(ATTRS({":method", "GET"}, {"host", "^example"}));
	NO(ATTRS({":method", "GET"}, {"cookie", ".*"}));
	YES(ATTRS({"x-empty", "^$"}));
	assert_null(router_of(&bad, 1, CONF_ROUTE_AS_IS, &k));
	assert_non_null(strstr(k.first_error, "attrs: host: invalid regexp a( > missing"));
}

static int process_calls;
static char own_path[400];

static const struct route_process *process(void *ctx)
{
	static struct route_process p;

	process_calls++;
	p.path = ctx ? "/opt/tool/curl" : own_path;
	p.pid = ctx ? 1 : getpid();
	return &p;
}

static void conditions_on_processes(void **state)
{
	struct route_attrs a = flow_to("www.example.org:80");

	(void)state;
	assert_true(readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) > 0);
	a.process = process;
	a.ctx = &a;
	YES(.processes = STRS("curl"));
	YES(.processes = STRS("wget", "curl.exe"));
	YES(.processes = STRS("/opt/tool/curl"));
	YES(.processes = STRS("/opt/"));
	NO(.processes = STRS("/opt"));
	NO(.processes = STRS("url", "cur", "Curl", "", "/usr/bin/", "self/", "xray/"));
	a.ctx = NULL;
	YES(.processes = STRS("self/"));
	YES(.processes = STRS("xray/"));
	process_calls = 0;
	NO(.processes = STRS("curl"), .networks = CONF_UDP);
	assert_int_equal(process_calls, 0); /* not asked for when something else refuses */
}

static void the_first_rule_wins(void **state)
{
	const struct conf_rule v[] = {
		{.outbound_tag = "a", .domains = STRS("full:a.org")},
		{.outbound_tag = "b", .domains = STRS("domain:org")},
		{.outbound_tag = "c", .domains = STRS("full:c.org")},
		{.outbound_tag = "d", .networks = CONF_UDP},
	};
	static const struct {
		const char *to, *tag;
	} want[] = {{"a.org:1", "a"}, {"c.org:1", "b"}, {"d.com:1", NULL}};
	struct kit_report k;
	struct router *r = router_of(v, 4, CONF_ROUTE_AS_IS, &k);

	(void)state;
	assert_non_null(r);
	for (size_t i = 0; i < 3; i++) {
		struct route_attrs a = flow_to(want[i].to);
		struct route_pick p = {0};

		assert_int_equal(router_pick(r, &a, &p), want[i].tag ? ROUTE_RULE : ROUTE_NONE);
		if (want[i].tag)
			assert_string_equal(p.outbound_tag, want[i].tag);
	}
	assert_true(router_memory(r) > 0);
	assert_int_equal(router_regexp_limits(r), 0);
	assert_false(router_wants_process(r));
	router_free(r);
}

/* ---- strategies ---- */

static void ip_if_non_match_resolves_after_all_rules(void **state)
{
	const struct conf_rule v[] = {
		{.outbound_tag = "lan", .ips = STRS("10.0.0.0/8")},
		{.outbound_tag = "name", .domains = STRS("full:name.org")},
		{.outbound_tag = "udp", .networks = CONF_UDP, .ips = STRS("11.0.0.0/8")},
	};
	struct kit_report k;
	struct router *r = router_of(v, 3, CONF_ROUTE_IP_IF_NON_MATCH, &k);
	struct route_attrs a = flow_to("name.org:80");
	struct ip ten = kit_ipport("10.0.0.1:0").ip, eleven = kit_ipport("11.0.0.1:0").ip;
	struct route_pick p = {0};

	(void)state;
	/* a rule by name matches in the first pass: no look-up */
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "name");

	a = flow_to("other.org:80");
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NEED_IPS);
	assert_string_equal(p.resolve, "other.org");
	a.resolved = true;
	a.ips = &ten;
	a.n_ips = 1;
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "lan");

	/* a look-up that fails, and one that helps nothing */
	a.resolved = false;
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NEED_IPS);
	a.resolved = true;
	a.n_ips = 0;
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NONE);
	a.ips = &eleven;
	a.n_ips = 1;
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NONE);

	a = flow_to("12.0.0.1:80"); /* an address: nothing to resolve */
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NONE);
	router_free(r);
}

static void a_catch_all_leaves_no_second_pass(void **state)
{
	const struct conf_rule v[] = {
		{.outbound_tag = "lan", .ips = STRS("10.0.0.0/8")},
		{.outbound_tag = "rest", .networks = BOTH},
	};
	struct kit_report k;
	struct router *r = router_of(v, 2, CONF_ROUTE_IP_IF_NON_MATCH, &k);
	struct route_attrs a = flow_to("other.org:80");
	struct route_pick p = {0};

	(void)state;
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "rest");
	router_free(r);
}

static void ip_on_demand_resolves_at_the_first_ip_condition(void **state)
{
	const struct conf_rule v[] = {
		{.outbound_tag = "reverse", .domains = STRS("full:reverse.local")},
		{.outbound_tag = "udp", .networks = CONF_UDP, .ips = STRS("0.0.0.0/0")},
		{.outbound_tag = "both", .domains = STRS("domain:org"), .ips = STRS("10.0.0.0/8")},
		{.outbound_tag = "com", .domains = STRS("domain:com")},
		{.outbound_tag = "lan", .ips = STRS("10.0.0.0/8", "fc00::/7")},
		{.outbound_tag = "rest", .networks = BOTH},
	};
	struct kit_report k;
	struct router *r = router_of(v, 6, CONF_ROUTE_IP_ON_DEMAND, &k);
	struct ip ips[] = {kit_ipport("8.8.8.8:0").ip, kit_ipport("[fc00::1]:0").ip,
			   kit_ipport("10.0.0.1:0").ip};
	struct route_attrs a = flow_to("reverse.local:0");
	struct route_pick p = {0};

	(void)state;
	/* the registration of a bridge is decided before any look-up */
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "reverse");

	/* so is a name that no rule with addresses can be about */
	a = flow_to("x.com:80");
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "com");

	a = flow_to("x.org:80");
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NEED_IPS);
	a.resolved = true;
	a.ips = ips;
	a.n_ips = 2; /* any of several suffices */
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "lan");
	a.n_ips = 3;
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "both");
	a.n_ips = 0; /* the look-up failed: the next rule */
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "rest");

	a = flow_to("x.org:80");
	a.skip_resolve = true; /* the resolver's own flow */
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "rest");
	router_free(r);
}

/* With routeOnly the look-up is of the sniffed name, and its result hides the address. */
static void a_resolved_name_hides_the_address(void **state)
{
	const struct conf_rule v[] = {{.outbound_tag = "lan", .ips = STRS("10.0.0.0/8")}};
	struct kit_report k;
	struct router *r = router_of(v, 1, CONF_ROUTE_IP_ON_DEMAND, &k);
	struct route_attrs a = flow_to("10.0.0.1:443");
	struct ip eight = kit_ipport("8.8.8.8:0").ip;
	struct route_pick p = {0};

	(void)state;
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE); /* no name, no look-up */
	a.sniffed_name = "example.org";
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NEED_IPS);
	assert_string_equal(p.resolve, "example.org");
	a.resolved = true;
	a.ips = &eight;
	a.n_ips = 1;
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NONE);
	a.n_ips = 0; /* nothing found: the address of the target counts again */
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	router_free(r);
}

/* ---- what is said about rules ---- */

static void check_error(struct conf_rule rule, const char *want)
{
	struct kit_report k;

	assert_null(router_of(&rule, 1, CONF_ROUTE_AS_IS, &k));
	k.first_error[strlen(want)] = '\0';
	assert_string_equal(k.first_error, want);
	assert_int_equal(k.r.errors, 1);
}

static void check_warning(struct conf_rule rule, const char *want)
{
	struct kit_report k;
	struct router *r = router_of(&rule, 1, CONF_ROUTE_AS_IS, &k);

	assert_non_null(r);
	k.first_warning[strlen(want)] = '\0';
	assert_string_equal(k.first_warning, want);
	router_free(r);
}

static void bad_rules(void **state)
{
	const struct conf_rule two[] = {{.ips = STRS("x", "10.0.0.0/8")},
					{.source_ips = STRS("geoip:")}};
	struct kit_report k;

	(void)state;
	check_error((struct conf_rule){0}, "this rule has no effective fields");
	check_error((struct conf_rule){.balancer_tag = "none", .networks = BOTH},
		    "balancer none not found");
	check_error((struct conf_rule){.ips = STRS("10.0.0.0/40")},
		    "ip: illegal ip rule: 10.0.0.0/40 > CIDR prefix length 40 exceeds max 32");
	check_error((struct conf_rule){.source_ips = STRS("example.org")},
		    "sourceIP: illegal ip rule: example.org > unsupported address family");
	check_error((struct conf_rule){.local_ips = STRS("geoip:")},
		    "localIP: illegal ip rule: geoip: > empty code");
	check_error((struct conf_rule){.domains = STRS("dotless:a.b")},
		    "domain: illegal domain rule: dotless:a.b > substr in dotless");
	check_error((struct conf_rule){.domains = STRS("geosite:cn")},
		    "domain: illegal domain rule: geosite:cn > failed to open geosite.dat > ");
	assert_null(router_of(two, 2, CONF_ROUTE_AS_IS, &k)); /* all of them are reported */
	assert_int_equal(k.r.errors, 2);

	check_warning((struct conf_rule){.domains = STRS("full:a"), .ips = STRS("::1")},
		      "domain and ip in one rule must both hold");
	check_warning((struct conf_rule){.local_ips = STRS("::1")}, "localIP: for UDP");
	check_warning((struct conf_rule){.users = STRS("regexp:(")},
		      "user: regexp:( has no effect > missing closing parenthesis");
}

static void a_rule_may_name_a_balancer(void **state)
{
	const struct conf_balancer b = {
		.tag = "bal", .selectors = STRS("out-"), .fallback_tag = ""};
	const struct conf_rule v[] = {
		{.balancer_tag = "bal", .networks = CONF_UDP},
		{.balancer_tag = "bal", .outbound_tag = "wins", .networks = CONF_TCP},
	};
	struct route_attrs a = flow_to("x.org:80");
	struct route_pick p = {0};
	struct kit_report k;
	struct router *r;

	(void)state;
	routing.balancers = &b;
	routing.n_balancers = 1;
	r = router_of(v, 2, CONF_ROUTE_AS_IS, &k);
	assert_non_null(r);
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_string_equal(p.outbound_tag, "wins");
	assert_null(p.balancer);
	a.network = CONF_UDP;
	p = (struct route_pick){0};
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_null(p.outbound_tag);
	assert_ptr_equal(p.balancer, router_balancer(r, "bal"));
	assert_null(router_balancer(r, "other"));
	router_free(r);
	routing.n_balancers = 0;
}

/* ---- many rules ---- */

enum { CLIENTS = 1500 };

static struct conf_rule client_rules[2 * CLIENTS];
static char client_ip[CLIENTS][20], client_name[CLIENTS][32];
static const char *client_text[CLIENTS][2];

static struct router *router_of_many(size_t n)
{
	struct lists *l = lists_new();
	struct kit_report k;
	struct router *r;

	for (size_t i = 0; i < n; i++) {
		client_rules[i].number = i + 1;
		client_rules[i].rule_tag = client_rules[i].balancer_tag = "";
	}
	routing = (struct conf_routing){.rules = client_rules, .n_rules = n};
	kit_report_init(&k);
	r = router_new(&routing, l, 1, &k.r);
	lists_free(l);
	assert_non_null(r);
	return r;
}

/* A hub: for each client a rule for its name and one for its address, all behind one tag. */
static void a_hub_finds_the_rule_of_each_client(void **state)
{
	const struct conf_strs tag = STRS("vpn");
	struct router *r;

	(void)state;
	memset(client_rules, 0, sizeof(client_rules));
	for (size_t i = 0; i < CLIENTS; i++) {
		snprintf(client_ip[i], sizeof(client_ip[i]), "100.64.%zu.%zu/32", i / 250, i % 250);
		snprintf(client_name[i], sizeof(client_name[i]), "domain:c%zu.mesh", i);
		client_text[i][0] = client_name[i];
		client_text[i][1] = client_ip[i];
		client_rules[2 * i] = (struct conf_rule){
			.inbound_tags = tag,
			.domains = {&client_text[i][0], 1},
			.outbound_tag = client_name[i],
		};
		client_rules[2 * i + 1] = (struct conf_rule){
			.inbound_tags = tag,
			.ips = {&client_text[i][1], 1},
			.outbound_tag = client_ip[i],
		};
	}
	r = router_of_many((size_t)2 * CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct route_pick p = {0}, q = {0};
		struct route_attrs a;
		char text[40];

		snprintf(text, sizeof(text), "nas.C%zu.mesh:22", i);
		a = flow_to(text);
		a.inbound_tag = "vpn";
		assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
		assert_ptr_equal(p.outbound_tag, client_name[i]);
		snprintf(text, sizeof(text), "100.64.%zu.%zu:22", i / 250, i % 250);
		a = flow_to(text);
		assert_int_equal(router_pick(r, &a, &q), ROUTE_NONE); /* another tag */
		a.inbound_tag = "vpn";
		assert_int_equal(router_pick(r, &a, &q), ROUTE_RULE);
		assert_ptr_equal(q.outbound_tag, client_ip[i]);
	}
	router_free(r);
}

/* "domain:a.a.a", @n times. */
static void domain_of_labels(char *out, size_t cap, size_t n)
{
	int len = snprintf(out, cap, "domain:");

	for (size_t i = 0; i < n; i++)
		len += snprintf(out + len, cap - (size_t)len, "%sa", i ? "." : "");
}

/* More suffixes that have rules than a pick can keep apart: it asks all rules then. */
static void a_name_of_a_hundred_labels(void **state)
{
	static char names[100][220];
	char target_text[230];
	struct route_pick p = {0};
	struct route_attrs a;
	struct router *r;

	(void)state;
	memset(client_rules, 0, sizeof(client_rules));
	for (size_t i = 0; i < 100; i++) {
		domain_of_labels(names[i], sizeof(names[i]), i + 1);
		client_text[i][0] = names[i];
		client_rules[i] = (struct conf_rule){
			.domains = {&client_text[i][0], 1},
			.networks = i == 70 ? CONF_TCP : CONF_UDP,
			.outbound_tag = names[i],
		};
	}
	r = router_of_many(100);
	snprintf(target_text, sizeof(target_text), "%s:1", names[99] + strlen("domain:"));
	a = flow_to(target_text);
	assert_int_equal(router_pick(r, &a, &p), ROUTE_RULE);
	assert_int_equal(p.rule->number, 71);
	router_free(r);
}

static void no_rules_at_all(void **state)
{
	struct route_attrs a = flow_to("x.org:80");
	struct route_pick p = {0};
	struct kit_report k;
	struct router *r = router_of(NULL, 0, CONF_ROUTE_AS_IS, &k);

	(void)state;
	assert_non_null(r);
	assert_int_equal(router_pick(r, &a, &p), ROUTE_NONE);
	router_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_on_numbers_and_texts),
		cmocka_unit_test(overlapping_and_reversed_ports),
		cmocka_unit_test(a_flow_that_has_little),
		cmocka_unit_test(conditions_on_addresses),
		cmocka_unit_test(a_sniffed_name_beside_an_address),
		cmocka_unit_test(conditions_on_headers),
		cmocka_unit_test(conditions_on_processes),
		cmocka_unit_test(the_first_rule_wins),
		cmocka_unit_test(ip_if_non_match_resolves_after_all_rules),
		cmocka_unit_test(a_catch_all_leaves_no_second_pass),
		cmocka_unit_test(ip_on_demand_resolves_at_the_first_ip_condition),
		cmocka_unit_test(a_resolved_name_hides_the_address),
		cmocka_unit_test(bad_rules),
		cmocka_unit_test(a_rule_may_name_a_balancer),
		cmocka_unit_test(a_hub_finds_the_rule_of_each_client),
		cmocka_unit_test(a_name_of_a_hundred_labels),
		cmocka_unit_test(no_rules_at_all),
	};

	/* no file of the host may be found */
	setenv("XRAY_LOCATION_ASSET", "/nonexistent", 1);
	unsetenv("GARENNE_ASSETS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
