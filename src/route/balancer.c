/*
 * random and roundRobin need no memory: the candidates are counted, then the
 * chosen one is looked for. leastLoad sorts, and takes memory for it per pick,
 * as long as the number of candidates.
 *
 * leastLoad, in the words of the settings: an outbound qualifies when it is
 * alive, faster than maxRTT, and no larger share than tolerance of its probes
 * failed. Its load is the deviation of its delay times the root of its cost. The
 * qualified are sorted by load, then delay, then failures. Without baselines the
 * first @expected (at least one) are chosen; with them, as many as are below the
 * first baseline that @expected of them are below, else below the last one, but
 * @expected in any case if it was given. One of the chosen is taken at random.
 */
#include "route/balancer.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "route/regex.h"
#include "route/report.h"

struct cost {
	const struct conf_cost *conf;
	struct regex *regexp; /* NULL: a part of the tag */
};

struct balancer {
	const struct conf_balancer *conf;
	struct cost *costs;
	size_t n_costs;
	_Atomic uint64_t turn;	 /* roundRobin */
	_Atomic uint64_t random; /* state of the generator */
};

static void init_costs(struct balancer *b, struct route_report *report)
{
	const struct conf_balancer *conf = b->conf;

	for (size_t i = 0; i < conf->n_costs; i++) {
		struct cost *c = &b->costs[b->n_costs];
		char why[ROUTE_WHY_MAX] = "out of memory";

		c->conf = &conf->costs[i];
		if (c->conf->regexp) {
			c->regexp = regex_new();
			if (!c->regexp ||
			    regex_add(c->regexp, span_str(c->conf->match), 0, why) != 0) {
				report_error(report, "costs: invalid regexp %.200s > %s",
					     c->conf->match, why);
				regex_free(c->regexp);
				continue;
			}
		}
		b->n_costs++;
	}
}

struct balancer *balancer_new(const struct conf_balancer *conf, uint64_t seed,
			      struct route_report *report)
{
	struct balancer *b = calloc(1, sizeof(*b));
	size_t before = report->errors;

	if (b)
		b->costs = calloc(conf->n_costs + 1, sizeof(*b->costs));
	if (!b || !b->costs) {
		report_error(report, "out of memory");
		balancer_free(b);
		return NULL;
	}
	b->conf = conf;
	atomic_init(&b->turn, 0);
	atomic_init(&b->random, seed);
	init_costs(b, report);
	if (report->errors == before)
		return b;
	balancer_free(b);
	return NULL;
}

void balancer_free(struct balancer *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n_costs; i++)
		regex_free(b->costs[i].regexp);
	free(b->costs);
	free(b);
}

const struct conf_balancer *balancer_conf(const struct balancer *b)
{
	return b->conf;
}

/* SplitMix64: the state is a counter, so threads need one atomic addition. */
static size_t roll(struct balancer *b, size_t n)
{
	uint64_t z =
		atomic_fetch_add_explicit(&b->random, 0x9e3779b97f4a7c15u, memory_order_relaxed);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (size_t)((z >> 32) * n >> 32);
}

bool balancer_selects(const struct balancer *b, const char *tag)
{
	const struct conf_strs *list = &b->conf->selectors;

	for (size_t i = 0; i < list->n; i++)
		if (strncmp(tag, list->v[i], strlen(list->v[i])) == 0)
			return true;
	return false;
}

static uint32_t health_of(const struct balance_member *m)
{
	if (m->dead)
		return OBSERVE_DEAD;
	return m->stats ? atomic_load_explicit(&m->stats->health, memory_order_relaxed)
			: (uint32_t)OBSERVE_UNKNOWN;
}

/* ---- random, roundRobin ---- */

static bool is_candidate(const struct balancer *b, const struct balance_member *m, bool dead_too)
{
	return (dead_too || health_of(m) != OBSERVE_DEAD) && balancer_selects(b, m->tag);
}

/* One of the candidates, or NULL when there is none. Health may change while we look. */
static const char *pick_any(struct balancer *b, const struct balance_member *m, size_t n,
			    bool dead_too)
{
	const char *last = NULL;
	size_t count = 0, k;

	for (size_t i = 0; i < n; i++)
		count += is_candidate(b, &m[i], dead_too);
	if (count == 0)
		return NULL;
	if (b->conf->strategy == CONF_BALANCE_ROUND_ROBIN)
		k = (size_t)(atomic_fetch_add_explicit(&b->turn, 1, memory_order_relaxed) % count);
	else
		k = roll(b, count);
	for (size_t i = 0; i < n; i++) {
		if (!is_candidate(b, &m[i], dead_too))
			continue;
		last = m[i].tag;
		if (k-- == 0)
			break;
	}
	return last;
}

/* ---- leastPing ---- */

static const char *pick_fastest(const struct balancer *b, const struct balance_member *m, size_t n)
{
	const char *best = NULL;
	uint32_t best_us = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t us;

		if (health_of(&m[i]) != OBSERVE_ALIVE || !balancer_selects(b, m[i].tag))
			continue;
		us = atomic_load_explicit(&m[i].stats->delay_us, memory_order_relaxed);
		if (!best || us < best_us) {
			best = m[i].tag;
			best_us = us;
		}
	}
	return best;
}

/* ---- leastLoad ---- */

struct load {
	const char *tag;
	double load_us;
	uint32_t delay_us, failures, probes;
};

/* The first number in @s, or 1: a cost without a value is written into the tag. */
static double number_in(struct span s)
{
	char text[32];
	size_t n = 0;
	double v;

	while (s.n && (s.p[0] < '0' || s.p[0] > '9'))
		s = span_of(s.p + 1, s.n - 1);
	while (n < s.n && n < sizeof(text) - 1 &&
	       ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] == '.' && !memchr(text, '.', n)))) {
		text[n] = (char)s.p[n];
		n++;
	}
	if (n == 0)
		return 1;
	text[n] = '\0';
	errno = 0;
	v = strtod(text, NULL);
	return errno ? 1 : v;
}

static double cost_of(const struct balancer *b, const char *tag)
{
	for (size_t i = 0; i < b->n_costs; i++) {
		const struct cost *c = &b->costs[i];
		struct span hit = span_str(c->conf->match);

		if (c->regexp)
			hit = regex_search(c->regexp, span_str(tag));
		else if (!strstr(tag, c->conf->match))
			hit.n = 0;
		if (hit.n == 0)
			continue;
		return c->conf->value > 0 ? c->conf->value : number_in(hit);
	}
	return 1;
}

static bool load_of(const struct balancer *b, const struct balance_member *m, struct load *out)
{
	const struct conf_balancer *c = b->conf;
	const struct observe_stats *s = m->stats;
	uint32_t deviation;

	if (health_of(m) != OBSERVE_ALIVE || !balancer_selects(b, m->tag))
		return false;
	out->tag = m->tag;
	out->delay_us = atomic_load_explicit(&s->delay_us, memory_order_relaxed);
	out->probes = atomic_load_explicit(&s->probes, memory_order_relaxed);
	out->failures = atomic_load_explicit(&s->failures, memory_order_relaxed);
	deviation = atomic_load_explicit(&s->deviation_us, memory_order_relaxed);
	if (c->max_rtt_ms && out->delay_us >= (uint64_t)c->max_rtt_ms * 1000)
		return false;
	if (c->tolerance > 0 && out->failures > c->tolerance * out->probes)
		return false;
	out->load_us = deviation * sqrt(cost_of(b, m->tag));
	return true;
}

static int cmp_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_load(const void *pa, const void *pb)
{
	const struct load *a = pa, *b = pb;

	if (a->load_us != b->load_us)
		return a->load_us < b->load_us ? -1 : 1;
	if (a->delay_us != b->delay_us)
		return cmp_u32(a->delay_us, b->delay_us);
	if (a->failures != b->failures)
		return cmp_u32(a->failures, b->failures);
	if (a->probes != b->probes)
		return cmp_u32(b->probes, a->probes);
	return strcmp(a->tag, b->tag);
}

/* How many of the sorted qualified are chosen. */
static size_t count_chosen(const struct conf_balancer *c, const struct load *v, size_t n)
{
	size_t expected = c->expected ? c->expected : 1, count = 0;

	if (n == 0 || c->expected > n)
		return n;
	if (c->n_baselines == 0)
		return expected;
	for (size_t i = 0; i < c->n_baselines && count < expected; i++)
		while (count < n && v[count].load_us < c->baselines_ms[i] * 1000.0)
			count++;
	return count < c->expected ? c->expected : count;
}

static const char *pick_lightest(struct balancer *b, const struct balance_member *m, size_t n)
{
	struct load *v = malloc((n + 1) * sizeof(*v));
	const char *tag = NULL;
	size_t count = 0;

	if (!v)
		return NULL;
	for (size_t i = 0; i < n; i++)
		count += load_of(b, &m[i], &v[count]);
	qsort(v, count, sizeof(*v), cmp_load);
	count = count_chosen(b->conf, v, count);
	if (count > 0)
		tag = v[roll(b, count)].tag;
	free(v);
	return tag;
}

const char *balancer_pick(struct balancer *b, const struct balance_member *m, size_t n)
{
	const char *fallback = b->conf->fallback_tag[0] ? b->conf->fallback_tag : NULL;
	const char *tag;

	switch (b->conf->strategy) {
	case CONF_BALANCE_LEAST_PING:
		tag = pick_fastest(b, m, n);
		break;
	case CONF_BALANCE_LEAST_LOAD:
		tag = pick_lightest(b, m, n);
		break;
	default:
		tag = pick_any(b, m, n, false);
		if (!tag && !fallback)
			tag = pick_any(b, m, n, true);
		break;
	}
	return tag ? tag : fallback;
}
