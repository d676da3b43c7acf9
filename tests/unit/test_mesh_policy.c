/*
 * The generated rules against the policy: for every node, every kind of target
 * and many policies, the hub's rules and the destination's rules each decide
 * alone what mesh_eval decides, and each decision has a rule with a name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mesh/compile.h"
#include "mesh/eval.h"
#include "route/lists.h"
#include "route/router.h"

enum { POLICIES = 60, NODES_MAX = 16 };

static const char head[] =
	"{ \"mesh\": \"home\", \"ipv6\": \"fd12:3456:789a::/48\", \"security\": \"none\",\n"
	"\"hubs\": { \"hub\": { \"address\": \"192.168.9.9\", \"ip\": \"100.64.0.1\", \"socks\": 1080 } },\n"
	"\"sites\": {\n"
	" \"paris\": { \"ip\": \"100.65.0.1\", \"ip6\": \"fd12:3456:789a:1::1\", \"tun\": false,\n"
	"   \"lans\": [{ \"prefix\": \"192.168.1.0/24\", \"as\": \"198.18.1.0/24\" },\n"
	"            { \"prefix\": \"fd77::/64\", \"as\": \"fd12:3456:789a:1000::/64\" }],\n"
	"   \"hosts\": { \"nas\": \"192.168.1.20\", \"camera\": \"192.168.1.30\" } },\n"
	" \"berlin\": { \"ip\": \"100.65.0.2\", \"tun\": false, \"socks\": 1080,\n"
	"   \"lans\": [{ \"prefix\": \"192.168.1.0/24\", \"as\": \"198.18.2.0/24\" }],\n"
	"   \"hosts\": { \"nas\": \"192.168.1.20\" } },\n"
	" \"rome\": { \"ip\": \"100.65.0.3\", \"tun\": false, \"lans\": [{ \"prefix\": \"10.3.0.0/16\" }] } },\n"
	"\"phones\": { \"alice\": { \"ip\": \"100.66.0.1\", \"ip6\": \"fd12:3456:789a:2::1\" },\n"
	"            \"bob\": { \"ip\": \"100.66.0.2\" } },\n"
	"\"groups\": { \"staff\": [\"alice\", \"berlin\"] },\n"
	"\"exits\": [{ \"from\": [\"alice\", \"berlin\"], \"through\": \"paris\" },\n"
	"           { \"from\": \"bob\", \"through\": \"hub\" }],\n"
	"\"policy\": [\n";

static const char *const froms[] = {"any",   "sites", "phones",		      "staff", "alice", "bob",
				    "paris", "rome",  "[\"bob\", \"berlin\"]", "hubs"};
static const char *const tos[] = {"any",	"sites",	 "paris",	    "nas.paris",
				  "camera.paris", "nas.berlin",	 "198.18.1.0/25",   "rome",
				  "hub",	"10.3.7.0/24", "100.65.0.1",    "hubs",
				  "fd12:3456:789a:1000::5", "[\"berlin\", \"rome\"]"};
static const char *const ports[] = {"", ", \"ports\": 22", ", \"ports\": \"80,443\"",
				    ", \"ports\": \"8000-8999\""};
static const char *const nets[] = {"", ", \"network\": \"tcp\"", ", \"network\": \"udp\""};
static const char *const targets[] = {
	"100.64.0.1", "100.65.0.1",  "fd12:3456:789a:1::1", "198.18.1.20", "198.18.1.30", "198.18.1.200",
	"100.65.0.2", "198.18.2.20", "100.65.0.3",	    "10.3.7.7",	   "10.3.9.9",
	"fd12:3456:789a:1000::5", "198.18.9.9", "192.168.1.20", "9.9.9.9", "2606:4700::1", "100.66.0.1",
};
static const uint16_t target_ports[] = {22, 80, 443, 8080, 9999};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Small and the same everywhere. */
static uint32_t draw(uint32_t *seed, size_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)((*seed >> 8) % n);
}

static void quoted(char *out, size_t cap, const char *text)
{
	snprintf(out, cap, *text == '[' ? "%s" : "\"%s\"", text);
}

static char *make_policy(uint32_t seed)
{
	char *text = malloc(16384), from[64], to[64];
	size_t n = (size_t)snprintf(text, 16384, "%s", head);
	size_t rules = 1 + draw(&seed, 6);

	for (size_t i = 0; i < rules; i++) {
		quoted(from, sizeof(from), froms[draw(&seed, COUNT(froms))]);
		quoted(to, sizeof(to), tos[draw(&seed, COUNT(tos))]);
		n += (size_t)snprintf(text + n, 16384 - n,
				      "{ \"name\": \"r%zu\", \"from\": %s, \"to\": %s%s%s%s }%s\n", i, from,
				      to, ports[draw(&seed, COUNT(ports))],
				      nets[draw(&seed, COUNT(nets))],
				      draw(&seed, 3) ? "" : ", \"action\": \"deny\"",
				      i + 1 < rules ? "," : "");
	}
	snprintf(text + n, 16384 - n, "] }\n");
	return text;
}

/* ---- files become routers ---- */

struct judge {
	struct conf *conf[NODES_MAX];
	struct router *router[NODES_MAX]; /* by node; NULL for phones */
};

static void tell(void *ctx, enum route_level level, const struct conf_at *at, const char *text)
{
	(void)ctx;
	(void)level;
	print_error("%s:%d: %s\n", at->file, at->line, text);
}

static void load(struct judge *j, int node, const char *text)
{
	struct route_report report = {.msg = tell};
	struct lists *lists = lists_new();
	struct conf_msgs msgs = {0};
	char line[1024];

	j->conf[node] = conf_load_text("node.json", span_str(text), &msgs);
	for (size_t i = 0; i < msgs.n; i++)
		if (!j->conf[node])
			print_error("%s\n", conf_msg_text(&msgs.v[i], line, sizeof(line)));
	conf_msgs_free(&msgs);
	assert_non_null(j->conf[node]);
	j->router[node] = router_new(&j->conf[node]->routing, lists, 1, &report);
	assert_non_null(j->router[node]);
	lists_free(lists);
}

static void judge_free(struct judge *j)
{
	for (size_t i = 0; i < NODES_MAX; i++) {
		router_free(j->router[i]);
		conf_free(j->conf[i]);
	}
}

static void judge_init(struct judge *j, const struct mesh *m)
{
	struct mesh_keys *k = calloc(m->n_nodes, sizeof(*k));
	struct mesh_output out = {0};

	memset(j, 0, sizeof(*j));
	assert_true(m->n_nodes <= NODES_MAX);
	for (size_t i = 0; i < m->n_nodes; i++)
		assert_int_equal(mesh_keys_make(&k[i], m->nodes[i].kind), 0);
	assert_int_equal(mesh_compile(m, k, &out), 0);
	for (size_t i = 0; i < out.n_files; i++)
		if (out.files[i].kind == MESH_FILE_GARENNE)
			load(j, out.files[i].node, out.files[i].text);
	mesh_output_free(&out);
	for (size_t i = 0; i < m->n_nodes; i++)
		mesh_keys_wipe(&k[i]);
	free(k);
}

/* Where the rules of @node send the flow; every decision has a name. */
static const char *pick(const struct judge *j, int node, const struct mesh *m,
			const struct mesh_flow *f)
{
	struct addr target = addr_from_ip(&f->target, f->port);
	bool hub = m->nodes[node].kind == MESH_HUB, local = f->from == node;
	struct route_attrs a = {.inbound_tag = local ? "socks" : "mesh", .network = f->network,
				.user = hub && !local ? m->nodes[f->from].name : "",
				.target = &target};
	struct route_pick p = {0};

	a.source.ip = f->target.family == 6 && m->nodes[f->from].ip6.family ? m->nodes[f->from].ip6
									     : m->nodes[f->from].ip4;
	a.source.port = a.local.port = 4000;
	a.local.ip = m->nodes[node].ip4;
	assert_int_equal(router_pick(j->router[node], &a, &p), ROUTE_RULE);
	assert_true(*p.rule->rule_tag);
	return p.outbound_tag;
}

static void explain(const struct mesh *m, const struct mesh_flow *f, const struct mesh_verdict *v,
		    const char *at, const char *out, const char *policy)
{
	char ip[64];

	print_error("%s to %s:%u/%u is %s, but %s sends it to %s\n%s", m->nodes[f->from].name,
		    ip_text(&f->target, ip, sizeof(ip)), f->port, f->network,
		    v->allowed ? "allowed" : "forbidden", at, out, policy);
	fail();
}

static void check_flow(const struct judge *j, const struct mesh *m, const struct mesh_flow *f,
		       const char *policy)
{
	struct mesh_verdict v = mesh_eval(m, f);
	const char *out;

	if (v.node == f->from) /* stays where it is */
		return;
	out = pick(j, 0, m, f);
	if ((strcmp(out, "block") != 0) != v.allowed)
		explain(m, f, &v, "the hub", out, policy);
	for (size_t i = m->n_hubs; i < m->n_nodes; i++) {
		if (m->nodes[i].kind != MESH_SITE || (int)i == f->from)
			continue;
		out = pick(j, (int)i, m, f);
		if ((strcmp(out, "block") != 0) != (v.allowed && v.node == (int)i))
			explain(m, f, &v, m->nodes[i].name, out, policy);
	}
}

static size_t check_all(const struct judge *j, const struct mesh *m, const char *policy)
{
	size_t forbidden = 0;

	for (size_t from = 0; from < m->n_nodes; from++)
		for (size_t t = 0; t < COUNT(targets); t++)
			for (size_t p = 0; p < COUNT(target_ports); p++)
				for (unsigned net = CONF_TCP; net <= CONF_UDP; net++) {
					struct mesh_flow f = {(int)from, {0}, target_ports[p], net};

					if (m->nodes[from].kind == MESH_SITE && from == 3)
						continue; /* has no way in */
					ip_parse(&f.target, span_str(targets[t]));
					check_flow(j, m, &f, policy);
					forbidden += !mesh_eval(m, &f).allowed;
				}
	return forbidden;
}

/* Whoever has a token reaches tickets and nothing else, whatever he asks for; nobody else does. */
static void check_join(const struct judge *j)
{
	static const char *const names[] = {"nas.paris.home.mesh", "probe.home.mesh", "hub.home.mesh",
					    "x.bridge.home.mesh", "www.example.com"};
	struct addr target;
	struct route_attrs a = {.inbound_tag = "mesh", .target = &target};
	struct route_pick p;

	a.source.port = a.local.port = 4000;
	ip_parse(&a.source.ip, span_str("198.51.100.9"));
	ip_parse(&a.local.ip, span_str("100.64.0.1"));
	for (size_t i = 0; i < COUNT(targets) + COUNT(names); i++)
		for (a.network = CONF_TCP; a.network <= CONF_UDP; a.network++) {
			const char *t = i < COUNT(targets) ? targets[i] : names[i - COUNT(targets)];

			addr_set_host(&target, span_str(t), a.network == CONF_TCP ? 443 : 53);
			a.user = "join.hub";
			p = (struct route_pick){0};
			assert_int_equal(router_pick(j->router[0], &a, &p), ROUTE_RULE);
			assert_string_equal(p.outbound_tag, "join");
			a.user = "alice";
			p = (struct route_pick){0};
			assert_int_equal(router_pick(j->router[0], &a, &p), ROUTE_RULE);
			assert_string_not_equal(p.outbound_tag, "join");
		}
}

static void test_rules_are_the_policy(void **state)
{
	size_t forbidden = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= POLICIES; seed++) {
		char *text = make_policy(seed * 7919);
		struct conf_msgs msgs = {0};
		struct mesh *m = mesh_parse("mesh.json", span_str(text), &msgs);
		struct judge j;

		assert_int_equal(msgs.errors, 0);
		assert_non_null(m);
		judge_init(&j, m);
		forbidden += check_all(&j, m, text);
		check_join(&j);
		judge_free(&j);
		mesh_free(m);
		free(text);
	}
	assert_true(forbidden > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_are_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
