/*
 * How long a routing decision takes, and what the lists weigh, as the lists and
 * the number of rules grow. Everything is made on the spot from a fixed seed;
 * lists have the mixture of the published files.
 *
 *   make build/release/bench/bench_route && build/release/bench/bench_route
 *
 * Each line: what grows, how many, nanoseconds per router_pick, bytes per entry,
 * and the time to compile. Half of the flows are matched by the list. "Warm" is
 * the best of several rounds over few flows, whose way through the lists stays in
 * the processor's cache: it shows the work. "Cold" is over many flows and shows
 * what the memory adds when the lists are larger than the cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "route/lists.h"
#include "route/router.h"

enum {
	FLOWS = 1 << 14,
	WARM = 1 << 7,
	ROUNDS = 15,
	TEXT = 48,
};

static uint64_t rnd_state = 0x2545f4914f6cdd1d;

static uint32_t rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % n;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

/* ---- texts ---- */

struct texts {
	char (*buf)[TEXT];
	const char **v;
	size_t n;
};

static struct texts texts_new(size_t n)
{
	struct texts t = {must(calloc(n, TEXT)), must(calloc(n, sizeof(char *))), n};

	for (size_t i = 0; i < n; i++)
		t.v[i] = t.buf[i];
	return t;
}

static void texts_free(struct texts *t)
{
	free(t->buf);
	free(t->v);
}

static struct conf_strs texts_list(const struct texts *t)
{
	return (struct conf_strs){t->v, t->n};
}

static int rnd_label(char *out, size_t cap)
{
	size_t n = 4 + rnd(9);

	for (size_t i = 0; i < n && i + 1 < cap; i++)
		out[i] = (char)('a' + rnd(26));
	out[n] = '\0';
	return (int)n;
}

static void rnd_name(char *out, size_t cap)
{
	static const char *const tlds[] = {"com", "net", "org", "cn", "de", "io", "co.uk"};
	char a[16], b[16];

	rnd_label(a, sizeof(a));
	rnd_label(b, sizeof(b));
	if (rnd(3))
		snprintf(out, cap, "%s.%s", a, tlds[rnd(7)]);
	else
		snprintf(out, cap, "%s.%s.%s", b, a, tlds[rnd(7)]);
}

/* As in geosite.dat: mostly domains, some full names, a few keywords and expressions. */
static void rnd_pattern(char *out, size_t cap, size_t i)
{
	char name[40];

	rnd_name(name, sizeof(name));
	if (i % 4000 == 17)
		snprintf(out, cap, "regexp:^%.5s[0-9]+\\.", name);
	else if (i % 1000 == 3)
		snprintf(out, cap, "keyword:%.9s", name);
	else
		snprintf(out, cap, "%s:%s", i % 5 == 0 ? "full" : "domain", name);
}

static void rnd_prefix(char *out, size_t cap, bool v6, bool hosts)
{
	if (!v6 && hosts)
		snprintf(out, cap, "%u.%u.%u.%u", 1 + rnd(223), rnd(256), rnd(256), rnd(256));
	else if (!v6)
		snprintf(out, cap, "%u.%u.%u.0/%u", 1 + rnd(223), rnd(256), rnd(256), 18 + rnd(7));
	else if (hosts)
		snprintf(out, cap, "fd00:1:2:%x::%x", rnd(16), rnd(1u << 16));
	else
		snprintf(out, cap, "2%03x:%x:%x::/%u", rnd(4096), rnd(65536), rnd(65536),
			 32 + rnd(17));
}

/* ---- flows ---- */

struct flow {
	struct route_attrs a;
	struct addr target;
};

static struct flow *flows;

/* @tag is a constant. */
static void flow_to(struct flow *f, const char *host, const char *tag)
{
	if (addr_set_host(&f->target, span_str(host), 443) != 0) {
		fprintf(stderr, "bad host %s\n", host);
		exit(1);
	}
	f->a = (struct route_attrs){.inbound_tag = tag, .network = CONF_TCP, .target = &f->target};
}

/* A name that @pattern matches. */
static void flow_to_pattern(struct flow *f, const char *pattern)
{
	char host[80];

	if (strncmp(pattern, "full:", 5) == 0)
		snprintf(host, sizeof(host), "%s", pattern + 5);
	else if (strncmp(pattern, "regexp:^", 8) == 0)
		snprintf(host, sizeof(host), "%.*s7.example", (int)strcspn(pattern + 8, "["),
			 pattern + 8);
	else
		snprintf(host, sizeof(host), "www.%s", strchr(pattern, ':') + 1);
	if (host[strlen(host) - 1] == '.')
		strcat(host, "com");
	flow_to(f, host, "in");
}

static void flow_to_prefix(struct flow *f, const char *prefix)
{
	char host[TEXT];

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(prefix, "/"), prefix);
	flow_to(f, host, "in");
}

/* ---- measuring ---- */

static void say(void *ctx, enum route_level level, const struct conf_at *at, const char *text)
{
	(void)ctx;
	(void)at;
	if (level == ROUTE_ERROR)
		fprintf(stderr, "%s\n", text);
}

static struct router *compile(const struct conf_routing *conf, double *ms)
{
	struct route_report report = {.msg = say};
	struct lists *lists = must(lists_new());
	double begin = now_ns();
	struct router *r = router_new(conf, lists, 1, &report);

	*ms = (now_ns() - begin) / 1e6;
	lists_free(lists);
	if (!r)
		exit(1);
	return r;
}

/* The best round of picks over the first @n flows; *@hits counts the flows that match. */
static double best_round(const struct router *r, int n, int rounds, size_t *hits)
{
	double best = 1e18;

	for (int round = 0; round < rounds; round++) {
		double begin = now_ns(), ns;

		*hits = 0;
		for (int i = 0; i < n; i++) {
			struct route_pick p = {0};

			*hits += router_pick(r, &flows[i].a, &p) == ROUTE_RULE;
		}
		ns = (now_ns() - begin) / n;
		best = ns < best ? ns : best;
	}
	return best;
}

static void measure(const char *what, size_t n, const struct conf_routing *conf)
{
	double ms, warm, cold;
	struct router *r = compile(conf, &ms);
	size_t hits;

	warm = best_round(r, WARM, ROUNDS * FLOWS / WARM, &hits);
	cold = best_round(r, FLOWS, ROUNDS, &hits);
	printf("%-34s %8zu  warm %6.0f ns  cold %6.0f ns  %7.1f B each  %7.1f ms  %3.0f%% hit\n",
	       what, n, warm, cold, (double)router_memory(r) / (double)n, ms,
	       100.0 * (double)hits / FLOWS);
	fflush(stdout);
	router_free(r);
}

static struct conf_rule rule(const char *tag)
{
	return (struct conf_rule){.rule_tag = "", .outbound_tag = tag, .balancer_tag = ""};
}

static void bench_domains(size_t n)
{
	struct conf_rule v = rule("out");
	struct conf_routing conf = {.rules = &v, .n_rules = 1};
	struct texts t = texts_new(n);

	for (size_t i = 0; i < n; i++)
		rnd_pattern(t.buf[i], TEXT, i);
	v.domains = texts_list(&t);
	for (int i = 0; i < FLOWS; i++) {
		char name[40];

		rnd_name(name, sizeof(name));
		if (i % 2)
			flow_to_pattern(&flows[i], t.v[rnd((uint32_t)n)]);
		else
			flow_to(&flows[i], name, "in");
	}
	measure("domains as in geosite.dat", n, &conf);
	texts_free(&t);
}

/* Without the expressions, which are tried one by one: 1 in 4000 above. */
static void bench_plain_domains(size_t n)
{
	struct conf_rule v = rule("out");
	struct conf_routing conf = {.rules = &v, .n_rules = 1};
	struct texts t = texts_new(n);

	for (size_t i = 0; i < n; i++)
		rnd_pattern(t.buf[i], TEXT, i % 4000 == 17 ? 1 : i);
	v.domains = texts_list(&t);
	for (int i = 0; i < FLOWS; i++) {
		char name[40];

		rnd_name(name, sizeof(name));
		if (i % 2)
			flow_to_pattern(&flows[i], t.v[rnd((uint32_t)n)]);
		else
			flow_to(&flows[i], name, "in");
	}
	measure("domains, full names, keywords", n, &conf);
	texts_free(&t);
}

static void bench_keywords(size_t n)
{
	struct conf_rule v = rule("out");
	struct conf_routing conf = {.rules = &v, .n_rules = 1};
	struct texts t = texts_new(n);

	for (size_t i = 0; i < n; i++)
		rnd_label(t.buf[i], 16);
	v.domains = texts_list(&t);
	for (int i = 0; i < FLOWS; i++) {
		char name[80];

		rnd_name(name, 40);
		if (i % 2)
			snprintf(name, sizeof(name), "x%sy.com", t.v[rnd((uint32_t)n)]);
		flow_to(&flows[i], name, "in");
	}
	measure("keywords", n, &conf);
	texts_free(&t);
}

static void bench_regexps(size_t n)
{
	struct conf_rule v = rule("out");
	struct conf_routing conf = {.rules = &v, .n_rules = 1};
	struct texts t = texts_new(n);

	for (size_t i = 0; i < n; i++)
		snprintf(t.buf[i], TEXT, "regexp:(^|\\.)%c%c[a-z]+-[0-9]{1,3}\\.com$",
			 (char)('a' + rnd(26)), (char)('a' + rnd(26)));
	v.domains = texts_list(&t);
	for (int i = 0; i < FLOWS; i++) {
		char name[40];

		rnd_name(name, sizeof(name));
		flow_to(&flows[i], name, "in");
	}
	measure("regular expressions, none matches", n, &conf);
	texts_free(&t);
}

static void bench_prefixes(const char *what, size_t n, bool v6, bool hosts)
{
	struct conf_rule v = rule("out");
	struct conf_routing conf = {.rules = &v, .n_rules = 1};
	struct texts t = texts_new(n);

	for (size_t i = 0; i < n; i++)
		rnd_prefix(t.buf[i], TEXT, v6, hosts);
	v.ips = texts_list(&t);
	for (int i = 0; i < FLOWS; i++) {
		char other[TEXT];

		rnd_prefix(other, sizeof(other), v6, hosts);
		flow_to_prefix(&flows[i], i % 2 ? t.v[rnd((uint32_t)n)] : other);
	}
	measure(what, n, &conf);
	texts_free(&t);
}

/* A hub: per client a rule by name and one by address, all behind one inbound. */
static void bench_hub(size_t clients)
{
	struct conf_rule *v = must(calloc(2 * clients, sizeof(*v)));
	struct texts name = texts_new(clients), ip = texts_new(clients), tag = texts_new(1);
	struct conf_routing conf = {.rules = v, .n_rules = 2 * clients};

	snprintf(tag.buf[0], TEXT, "vpn");
	for (size_t i = 0; i < clients; i++) {
		snprintf(name.buf[i], TEXT, "domain:c%zu.mesh", i);
		snprintf(ip.buf[i], TEXT, "100.%zu.%zu.%zu", 64 + (i >> 16), i >> 8 & 255, i & 255);
		v[2 * i] = v[2 * i + 1] = rule("portal");
		v[2 * i].inbound_tags = v[2 * i + 1].inbound_tags = texts_list(&tag);
		v[2 * i].domains = (struct conf_strs){&name.v[i], 1};
		v[2 * i + 1].ips = (struct conf_strs){&ip.v[i], 1};
	}
	for (int i = 0; i < FLOWS; i++) {
		size_t k = rnd((uint32_t)clients);
		char host[TEXT];

		snprintf(host, sizeof(host), "nas.%.30s", name.v[k] + strlen("domain:"));
		flow_to(&flows[i], i % 2 ? ip.v[k] : host, "vpn");
	}
	measure("rules of a hub, two per client", 2 * clients, &conf);
	texts_free(&name);
	texts_free(&ip);
	texts_free(&tag);
	free(v);
}

/* Rules by inbound tag in front of and behind rules with long lists: the lists cost nothing. */
static void bench_cheap_rules(size_t lists)
{
	struct conf_rule v[6];
	struct texts dom = texts_new(lists), pre = texts_new(lists), tag = texts_new(2);
	struct conf_routing conf = {.rules = v, .n_rules = 6};

	snprintf(tag.buf[0], TEXT, "other");
	snprintf(tag.buf[1], TEXT, "in");
	for (size_t i = 0; i < lists; i++) {
		rnd_pattern(dom.buf[i], TEXT, 1 + i % 2);
		rnd_prefix(pre.buf[i], TEXT, false, false);
	}
	for (int i = 0; i < 6; i++) {
		v[i] = rule("out");
		v[i].inbound_tags = (struct conf_strs){&tag.v[i == 5], 1};
		if (i < 5 && i % 2)
			v[i].domains = texts_list(&dom);
		else if (i < 5)
			v[i].ips = texts_list(&pre);
	}
	for (int i = 0; i < FLOWS; i++) {
		char name[40];

		rnd_name(name, sizeof(name));
		flow_to(&flows[i], name, "in");
	}
	measure("long lists under another tag", lists, &conf);
	texts_free(&dom);
	texts_free(&pre);
	texts_free(&tag);
}

int main(void)
{
	static const size_t sizes[] = {1000, 10000, 100000, 1000000};
	static const size_t prefixes[] = {1000, 10000, 100000, 500000};

	flows = must(calloc(FLOWS, sizeof(*flows)));
	for (int i = 0; i < 4; i++)
		bench_plain_domains(sizes[i]);
	for (int i = 0; i < 4; i++)
		bench_domains(sizes[i]);
	for (size_t n = 10; n <= 10000; n *= 10)
		bench_keywords(n);
	for (size_t n = 1; n <= 100; n *= 10)
		bench_regexps(n);
	for (int i = 0; i < 4; i++)
		bench_prefixes("IPv4 prefixes", prefixes[i], false, false);
	for (int i = 0; i < 4; i++)
		bench_prefixes("IPv4 hosts", prefixes[i], false, true);
	for (int i = 0; i < 4; i++)
		bench_prefixes("IPv6 prefixes", prefixes[i], true, false);
	for (int i = 0; i < 4; i++)
		bench_prefixes("IPv6 hosts of few networks", prefixes[i], true, true);
	for (size_t n = 5; n <= 50000; n *= 10)
		bench_hub(n);
	for (int i = 0; i < 3; i++)
		bench_cheap_rules(sizes[i]);
	free(flows);
	return 0;
}
