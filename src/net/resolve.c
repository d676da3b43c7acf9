/*
 * An entry is one question: a name, a source and families. It is asked once, by
 * whoever comes first, and then kept as the answer; requests wait on entries.
 * A request goes through the steps of its strategy, each step being an entry.
 *
 * c-ares cannot forget a single question, so an entry that is being asked lives
 * until its answer comes. Answers are never handed on from inside c-ares: the
 * entry is put on the ready list, and a deferred call tells those who wait.
 */
#include "net/resolve.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "net/resolve_entry.h"

enum { V4 = RESOLVE_V4, V6 = RESOLVE_V6, V46 = V4 | V6, STEPS_MAX = 4 };

/* One entry on the way of a strategy. */
struct step {
	uint8_t source, families;
};

/* Ends with families 0. */
static const struct step plans[][STEPS_MAX] = {
	[CONF_AS_IS] = {{SOURCE_SYSTEM, V46}},
	[CONF_USE_IP] = {{SOURCE_DNS, V46}, {SOURCE_SYSTEM, V46}},
	[CONF_USE_IP4] = {{SOURCE_DNS, V4}, {SOURCE_SYSTEM, V46}},
	[CONF_USE_IP6] = {{SOURCE_DNS, V6}, {SOURCE_SYSTEM, V46}},
	[CONF_USE_IP46] = {{SOURCE_DNS, V4}, {SOURCE_DNS, V6}, {SOURCE_SYSTEM, V46}},
	[CONF_USE_IP64] = {{SOURCE_DNS, V6}, {SOURCE_DNS, V4}, {SOURCE_SYSTEM, V46}},
	[CONF_FORCE_IP] = {{SOURCE_DNS, V46}},
	[CONF_FORCE_IP4] = {{SOURCE_DNS, V4}},
	[CONF_FORCE_IP6] = {{SOURCE_DNS, V6}},
	[CONF_FORCE_IP46] = {{SOURCE_DNS, V4}, {SOURCE_DNS, V6}},
	[CONF_FORCE_IP64] = {{SOURCE_DNS, V6}, {SOURCE_DNS, V4}},
};

static uint32_t hash_of(const struct resolver *r, const char *name, struct step s)
{
	uint32_t h = r->seed ^ (uint32_t)(s.source << 8 | s.families);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

static struct resolve_entry *find(struct resolver *r, const char *name, struct step s,
				  uint32_t hash)
{
	struct resolve_entry *e;

	for (e = r->bucket[hash % RESOLVE_BUCKETS]; e; e = e->chain)
		if (e->hash == hash && e->source == s.source && e->families == s.families &&
		    strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

static void entry_free(struct resolve_entry *e)
{
	struct resolve_entry **at = &e->r->bucket[e->hash % RESOLVE_BUCKETS];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	list_del(&e->lru);
	list_del(&e->ready);
	e->r->entries--;
	free(e->alias);
	free(e->races);
	free(e->ip);
	free(e);
}

static bool evict_one(struct resolver *r)
{
	struct resolve_entry *e;

	list_each(e, &r->lru, lru) {
		if (e->state == ENTRY_KNOWN && !e->racing && list_empty(&e->waiting) &&
		    list_empty(&e->ready)) {
			entry_free(e);
			return true;
		}
	}
	return false;
}

static struct resolve_entry *entry_new(struct resolver *r, const char *name, struct step s,
				       uint32_t hash)
{
	size_t n = strlen(name) + 1;
	struct resolve_entry *e;

	if (r->entries >= RESOLVE_CACHE_MAX && !evict_one(r))
		return NULL;
	e = calloc(1, sizeof(*e) + n);
	if (!e)
		return NULL;
	e->r = r;
	e->hash = hash;
	e->source = s.source;
	e->families = s.families;
	e->question.on_answer = resolve_on_answer;
	e->by = RESOLVE_BY_NOBODY;
	memcpy(e->name, name, n);
	list_init(&e->ready);
	list_init(&e->waiting);
	list_add_tail(&r->lru, &e->lru);
	e->chain = r->bucket[hash % RESOLVE_BUCKETS];
	r->bucket[hash % RESOLVE_BUCKETS] = e;
	r->entries++;
	return e;
}

void resolve_tell_later(struct resolve_entry *e)
{
	if (list_empty(&e->ready))
		list_add_tail(&e->r->ready, &e->ready);
	defer_ask(&e->r->tell);
}

/* @words holds the text that @res borrows. */
static void fill(struct resolve_result *res, const char *name, enum dns_status status,
		 char words[RESOLVE_WORDS_MAX])
{
	static const char *const text[] = {
		[DNS_NONE] = "no such host",	[DNS_FAILED] = "server misbehaving",
		[DNS_SILENT] = "i/o timeout",	[DNS_NOMEM] = "out of memory",
		[DNS_GONE] = "resolver closed",
	};

	res->err = status == DNS_NOMEM ? -ERR_NOMEM : -ERR_RESOLVE;
	res->none = status == DNS_NONE;
	snprintf(words, RESOLVE_WORDS_MAX, "lookup %s: %s", name, text[status]);
	res->why = words;
}

static void fill_from(struct resolve_result *res, const struct resolve_entry *e,
		      char words[RESOLVE_WORDS_MAX])
{
	uint64_t now = loop_now(e->r->loop);

	memset(res, 0, sizeof(*res));
	if (e->status != DNS_OK) {
		fill(res, e->name, e->status, words);
		return;
	}
	res->n = e->n < RESOLVE_MAX ? e->n : RESOLVE_MAX;
	memcpy(res->ip, e->ip, res->n * sizeof(*res->ip));
	res->ttl = e->until > now ? (uint32_t)((e->until - now + 999) / 1000) : 0;
}

static void refuse(struct resolver *r, struct resolve_req *q, int err)
{
	q->entry = NULL;
	q->err = err;
	list_add_tail(&r->refused, &q->node);
	defer_ask(&r->tell);
}

/* Puts @q on the entry of its present step. */
static void attach(struct resolve_req *q, const char *name)
{
	struct resolver *r = q->resolver;
	struct step s = plans[q->strategy][q->step];
	uint32_t hash = hash_of(r, name, s);
	struct resolve_entry *e = find(r, name, s, hash);
	bool fresh = e && (e->state != ENTRY_KNOWN || !list_empty(&e->ready) ||
			   e->until > loop_now(r->loop));

	bool stale = e && !fresh && resolve_may_be_stale(e);

	if (!fresh && !stale && r->flight >= RESOLVE_FLIGHT_MAX) {
		refuse(r, q, -ERR_LIMIT);
		return;
	}
	if (!e)
		e = entry_new(r, name, s, hash);
	if (!e) {
		refuse(r, q, -ERR_NOMEM);
		return;
	}
	list_del(&e->lru);
	list_add_tail(&r->lru, &e->lru);
	q->entry = e;
	list_add_tail(&e->waiting, &q->node);
	if (stale) {
		e->stale = true;
		resolve_ask(e);
	} else if (!fresh) {
		resolve_ask(e);
	}
	if (e->stale || (fresh && e->state == ENTRY_KNOWN))
		resolve_tell_later(e);
}

static void finish(struct resolve_req *q, const struct resolve_result *res)
{
	q->active = false;
	q->entry = NULL;
	timer_stop(&q->timer);
	q->on_done(q, res);
}

static bool has_step(enum conf_strategy strategy, unsigned step)
{
	return step < STEPS_MAX && plans[strategy][step].families != 0;
}

/* The entry may be gone after the first callback: everything is copied out before. */
static void tell(struct resolve_entry *e)
{
	char words[RESOLVE_WORDS_MAX], name[ADDR_NAME_MAX + 1];
	struct resolve_result res;
	struct list waiting;

	fill_from(&res, e, words);
	snprintf(name, sizeof(name), "%s", e->name);
	list_init(&waiting);
	list_splice_tail(&waiting, &e->waiting);
	while (!list_empty(&waiting)) {
		struct resolve_req *q = list_first(&waiting, struct resolve_req, node);

		list_del(&q->node);
		if (res.err && has_step(q->strategy, q->step + 1)) {
			q->step++;
			attach(q, name);
		} else {
			finish(q, &res);
		}
	}
}

static void tell_refused(struct list *refused)
{
	while (!list_empty(refused)) {
		struct resolve_req *q = list_first(refused, struct resolve_req, node);
		struct resolve_result res = {.err = q->err, .why = err_name(q->err)};

		list_del(&q->node);
		finish(q, &res);
	}
}

static void on_tell(struct defer *d)
{
	struct resolver *r = container_of(d, struct resolver, tell);
	struct list ready, refused;

	list_init(&ready);
	list_init(&refused);
	list_splice_tail(&ready, &r->ready);
	list_splice_tail(&refused, &r->refused);
	while (!list_empty(&ready)) {
		struct resolve_entry *e = list_first(&ready, struct resolve_entry, ready);

		list_del(&e->ready);
		if (e->stale)
			tell(e);
		if (e->state == ENTRY_AGAIN)
			resolve_ask(e);
		else if (e->state == ENTRY_NEXT)
			resolve_ask_next(e);
		else if (e->state == ENTRY_KNOWN)
			tell(e);
	}
	tell_refused(&refused);
}

static void on_poll(struct timer *t)
{
	struct resolver *r = container_of(t, struct resolver, poll);

	resolve_look(r);
	if (r->flight)
		timer_start(&r->poll, RESOLVE_POLL_MS);
}

static void on_timeout(struct timer *t)
{
	struct resolve_req *q = container_of(t, struct resolve_req, timer);
	char words[RESOLVE_WORDS_MAX], name[ADDR_NAME_MAX + 1];
	struct resolve_result res = {0};

	snprintf(name, sizeof(name), "%s", q->entry ? q->entry->name : "");
	fill(&res, name, DNS_SILENT, words);
	list_del(&q->node);
	finish(q, &res);
}

/* Lower case, cut at what a name may be; c-ares refuses the rest. */
static void normal_name(char out[ADDR_NAME_MAX + 1], const char *name)
{
	size_t n = 0;

	for (; name[n] && n < ADDR_NAME_MAX; n++)
		out[n] = (char)tolower((unsigned char)name[n]);
	out[n] = 0;
}

void resolve_start(struct resolver *r, struct resolve_req *q, const char *name,
		   enum conf_strategy strategy, uint32_t timeout_ms)
{
	char normal[ADDR_NAME_MAX + 1];

	resolve_look(r);
	normal_name(normal, name);
	q->resolver = r;
	q->strategy = strategy;
	q->step = 0;
	q->active = true;
	timer_init(&q->timer, r->loop, on_timeout);
	timer_start(&q->timer, timeout_ms ? timeout_ms : RESOLVE_TIMEOUT_MS);
	attach(q, normal);
}

void resolve_cancel(struct resolve_req *q)
{
	if (!q->active)
		return;
	q->active = false;
	list_del(&q->node);
	timer_stop(&q->timer);
}

bool resolve_known(struct resolver *r, const char *name, enum conf_strategy strategy,
		   struct resolve_result *out)
{
	char normal[ADDR_NAME_MAX + 1];
	struct resolve_entry *e = NULL;

	memset(out, 0, sizeof(*out));
	if (ip_parse(&out->ip[0], span_str(name)) == 0) {
		out->n = 1;
		return true;
	}
	resolve_look(r);
	normal_name(normal, name);
	for (unsigned i = 0; has_step(strategy, i); i++) {
		struct step s = plans[strategy][i];

		e = find(r, normal, s, hash_of(r, normal, s));
		if (!e || e->state != ENTRY_KNOWN || e->until <= loop_now(r->loop))
			return false;
		if (e->status == DNS_OK)
			break;
	}
	fill_from(out, e, r->words);
	return true;
}

struct resolver *resolver_new(struct loop *l, const struct resolve_setup *setup)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = l;
	r->setup = *setup;
	r->dns = setup->dns && setup->dns->given ? setup->dns : NULL;
	list_init(&r->lru);
	list_init(&r->ready);
	list_init(&r->refused);
	defer_init(&r->tell, l, on_tell);
	timer_init(&r->poll, l, on_poll);
	if (getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) == -1)
		r->seed = (uint32_t)(uintptr_t)r; /* very early at boot */
	if (resolve_ask_open(r) != 0) {
		resolver_free(r);
		return NULL;
	}
	return r;
}

static void forget(struct list *waiting)
{
	while (!list_empty(waiting))
		resolve_cancel(list_first(waiting, struct resolve_req, node));
}

void resolver_stop(struct resolver *r)
{
	if (!r->closing)
		resolve_ask_close(r);
}

void resolver_free(struct resolver *r)
{
	struct resolve_entry *e, *next;

	if (!r)
		return;
	resolver_stop(r);
	list_each_safe(e, next, &r->lru, lru) {
		forget(&e->waiting);
		entry_free(e);
	}
	forget(&r->refused);
	defer_cancel(&r->tell);
	timer_stop(&r->poll);
	free(r);
}
