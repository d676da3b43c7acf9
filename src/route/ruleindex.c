#include "route/ruleindex.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "route/ascii.h"
#include "route/ruletext.h"
#include "route/strtab.h"

enum {
	RULES_MIN = 8, /* fewer are simply asked one by one */
	KEYS_MAX = 64, /* a rule with more keys in a condition is not filed under it */
	PREFIX_KEY = 18,
	LENGTHS_MAX = 129,
};

enum dimension {
	BY_TAG = 0,
	BY_USER,
	BY_NAME,
	BY_IP,
	BY_SOURCE,
	DIMENSIONS_,
};

/* Rules by key: those of key i are rules[start[i]] to rules[start[i + 1] - 1]. */
struct shelf {
	struct strtab keys;
	uint32_t *start, *rules;
	uint32_t *all; /* BY_IP: every rule on the shelf, for targets that are not resolved yet */
	uint32_t n_all;
	/* BY_IP, BY_SOURCE: lengths of the prefixes that occur, per family */
	uint8_t lengths4[LENGTHS_MAX], lengths6[LENGTHS_MAX];
	uint8_t n_lengths4, n_lengths6;
};

struct ruleindex {
	struct shelf shelf[DIMENSIONS_];
	uint32_t *rest; /* rules on no shelf */
	uint32_t n_rest, count;
};

/* The keys of one condition of one rule. */
struct keys {
	struct span v[KEYS_MAX];
	uint8_t bytes[KEYS_MAX][ADDR_NAME_MAX];
	size_t n;
};

/* Family, length, address without host bits. */
static struct span prefix_key(uint8_t out[PREFIX_KEY], const struct ip *ip, uint8_t len)
{
	size_t bytes = len / 8;

	memset(out, 0, PREFIX_KEY);
	out[0] = ip->family;
	out[1] = len;
	memcpy(out + 2, ip->b, bytes);
	if (len % 8)
		out[2 + bytes] = (uint8_t)(ip->b[bytes] & 0xff00 >> len % 8);
	return span_of(out, PREFIX_KEY);
}

static bool text_keys(struct keys *k, const struct conf_strs *list)
{
	if (list->n > KEYS_MAX)
		return false;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i][0])
			k->v[k->n++] = span_str(list->v[i]);
	return list->n > 0;
}

static bool name_keys(struct keys *k, const struct conf_strs *list)
{
	char why[ROUTE_WHY_MAX];
	struct domrule d;

	if (list->n > KEYS_MAX)
		return false;
	for (size_t i = 0; i < list->n; i++) {
		if (domrule_parse(&d, span_str(list->v[i]), DOMSET_KEYWORD, why) != 0 || d.listed ||
		    (d.kind != DOMSET_FULL && d.kind != DOMSET_DOMAIN) || d.text.n > ADDR_NAME_MAX)
			return false;
		k->v[k->n] = ascii_lower_copy(k->bytes[k->n], d.text);
		k->n++;
	}
	return list->n > 0;
}

static bool prefix_keys(struct keys *k, const struct conf_strs *list)
{
	char why[ROUTE_WHY_MAX];
	struct iprule r;

	if (list->n > KEYS_MAX)
		return false;
	for (size_t i = 0; i < list->n; i++) {
		if (iprule_parse(&r, span_str(list->v[i]), why) != 0 || r.listed || r.inverse)
			return false;
		k->v[k->n] = prefix_key(k->bytes[k->n], &r.prefix.ip, r.prefix.len);
		k->n++;
	}
	return list->n > 0;
}

/* False when @r cannot be filed under @d. */
static bool keys_of(struct keys *k, const struct rule *r, enum dimension d)
{
	k->n = 0;
	switch (d) {
	case BY_TAG:
		return text_keys(k, &r->conf->inbound_tags);
	case BY_USER:
		return !r->user_regexps && text_keys(k, &r->conf->users);
	case BY_NAME:
		return name_keys(k, &r->conf->domains);
	case BY_IP:
		return prefix_keys(k, &r->conf->ips);
	default:
		return prefix_keys(k, &r->conf->source_ips);
	}
}

/* ---- filing ---- */

/* While filing: for each key of each shelf how many rules have it, then how many are filed. */
struct filing {
	uint32_t *count[DIMENSIONS_];
	size_t cap[DIMENSIONS_];
	uint8_t *choice; /* per rule: its dimension, or DIMENSIONS_ */
	struct keys keys;
};

static int count_key(struct filing *f, struct shelf *s, enum dimension d, struct span key)
{
	int id = strtab_put(&s->keys, key, s->keys.n);

	if (id < 0)
		return id;
	if ((size_t)id >= f->cap[d]) {
		size_t cap = f->cap[d] ? f->cap[d] * 2 : 64;
		uint32_t *count = realloc(f->count[d], cap * sizeof(*count));

		if (!count)
			return -ERR_NOMEM;
		memset(count + f->cap[d], 0, (cap - f->cap[d]) * sizeof(*count));
		f->count[d] = count;
		f->cap[d] = cap;
	}
	f->count[d][id]++;
	return 0;
}

static int count_rule(struct filing *f, struct ruleindex *x, const struct rule *r)
{
	for (int d = 0; d < DIMENSIONS_; d++) {
		if (!keys_of(&f->keys, r, (enum dimension)d))
			continue;
		for (size_t i = 0; i < f->keys.n; i++) {
			int err = count_key(f, &x->shelf[d], (enum dimension)d, f->keys.v[i]);

			if (err)
				return err;
		}
	}
	return 0;
}

static int key_id(const struct shelf *s, struct span key)
{
	return strtab_find(&s->keys, key, strtab_hash(key));
}

/* The dimension in which the rule's most crowded key is least crowded; cheap ones win ties. */
static uint8_t choose(struct filing *f, const struct ruleindex *x, const struct rule *r)
{
	uint32_t best = UINT32_MAX;
	uint8_t choice = DIMENSIONS_;

	for (int d = 0; d < DIMENSIONS_; d++) {
		uint32_t worst = 0;

		if (!keys_of(&f->keys, r, (enum dimension)d))
			continue;
		for (size_t i = 0; i < f->keys.n; i++) {
			uint32_t n = f->count[d][key_id(&x->shelf[d], f->keys.v[i])];

			worst = n > worst ? n : worst;
		}
		if (worst < best) {
			best = worst;
			choice = (uint8_t)d;
		}
	}
	return choice;
}

static void note_length(struct shelf *s, const uint8_t *key)
{
	uint8_t *v = key[0] == 4 ? s->lengths4 : s->lengths6;
	uint8_t *n = key[0] == 4 ? &s->n_lengths4 : &s->n_lengths6;

	if (memchr(v, key[1], *n) == NULL)
		v[(*n)++] = key[1];
}

/* Calls for each key of each rule that chose @d: first counted, then written. */
static void file_rules(struct filing *f, struct shelf *s, enum dimension d,
		       const struct rule *rules, uint32_t n, bool write)
{
	for (uint32_t i = 0; i < n; i++) {
		if (f->choice[i] != d)
			continue;
		keys_of(&f->keys, &rules[i], d);
		for (size_t k = 0; k < f->keys.n; k++) {
			int id = key_id(s, f->keys.v[k]);

			if (write)
				s->rules[s->start[id] + f->count[d][id]] = i;
			f->count[d][id]++;
			if (d == BY_IP || d == BY_SOURCE)
				note_length(s, f->keys.v[k].p);
		}
		if (write)
			s->all[s->n_all++] = i;
	}
}

static int build_shelf(struct filing *f, struct shelf *s, enum dimension d,
		       const struct rule *rules, uint32_t n)
{
	uint32_t sum = 0, chosen = 0;

	if (s->keys.n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		chosen += f->choice[i] == d;
	memset(f->count[d], 0, f->cap[d] * sizeof(*f->count[d]));
	file_rules(f, s, d, rules, n, false);
	s->start = calloc(s->keys.n + 1, sizeof(*s->start));
	s->all = calloc(chosen + 1, sizeof(*s->all));
	if (!s->start || !s->all)
		return -ERR_NOMEM;
	for (uint32_t id = 0; id < s->keys.n; id++) {
		s->start[id] = sum;
		sum += f->count[d][id];
	}
	s->start[s->keys.n] = sum;
	s->rules = calloc(sum + 1, sizeof(*s->rules));
	if (!s->rules)
		return -ERR_NOMEM;
	memset(f->count[d], 0, f->cap[d] * sizeof(*f->count[d]));
	file_rules(f, s, d, rules, n, true);
	return strtab_seal(&s->keys);
}

static int build(struct ruleindex *x, struct filing *f, const struct rule *rules, uint32_t n)
{
	bool small = n < RULES_MIN;
	int err = 0;

	x->rest = calloc(n + 1, sizeof(*x->rest));
	f->choice = malloc(n + 1);
	if (!x->rest || !f->choice)
		return -ERR_NOMEM;
	memset(f->choice, DIMENSIONS_, n + 1);
	for (uint32_t i = 0; i < n && !err && !small; i++)
		err = count_rule(f, x, &rules[i]);
	for (uint32_t i = 0; i < n && !err && !small; i++)
		f->choice[i] = choose(f, x, &rules[i]);
	for (int d = 0; d < DIMENSIONS_ && !err; d++)
		err = build_shelf(f, &x->shelf[d], (enum dimension)d, rules, n);
	for (uint32_t i = 0; i < n; i++)
		if (f->choice[i] == DIMENSIONS_)
			x->rest[x->n_rest++] = i;
	return err;
}

struct ruleindex *ruleindex_new(const struct rule *rules, uint32_t n)
{
	struct ruleindex *x = calloc(1, sizeof(*x));
	struct filing *f = calloc(1, sizeof(*f));
	int err = -ERR_NOMEM;

	if (x && f) {
		x->count = n;
		err = build(x, f, rules, n);
	}
	for (int d = 0; f && d < DIMENSIONS_; d++)
		free(f->count[d]);
	if (f)
		free(f->choice);
	free(f);
	if (err) {
		ruleindex_free(x);
		return NULL;
	}
	return x;
}

void ruleindex_free(struct ruleindex *x)
{
	if (!x)
		return;
	for (int d = 0; d < DIMENSIONS_; d++) {
		strtab_fini(&x->shelf[d].keys);
		free(x->shelf[d].start);
		free(x->shelf[d].rules);
		free(x->shelf[d].all);
	}
	free(x->rest);
	free(x);
}

/* ---- looking up ---- */

static void add_run(struct candidates *c, const uint32_t *p, const uint32_t *end)
{
	if (p == end)
		return;
	if (c->n == RULEINDEX_RUNS_MAX) {
		c->overflow = true;
		return;
	}
	c->run[c->n].p = p;
	c->run[c->n++].end = end;
}

static void add_key(struct candidates *c, const struct shelf *s, struct span key, uint32_t hash)
{
	int id = strtab_find(&s->keys, key, hash);

	if (id != STRTAB_NONE)
		add_run(c, s->rules + s->start[id], s->rules + s->start[id + 1]);
}

static void add_name(struct candidates *c, const struct shelf *s, struct route_view *v)
{
	const struct domkey *k = s->n_all ? view_key(v) : NULL;

	if (!k)
		return;
	add_key(c, s, domkey_name(k), k->hash);
	for (size_t i = 0; i < k->n_suffixes; i++)
		add_key(c, s, domkey_suffix(k, i), k->suffix_hash[i]);
}

static void add_ip(struct candidates *c, const struct shelf *s, const struct ip *ip)
{
	const uint8_t *lengths = ip->family == 4 ? s->lengths4 : s->lengths6;
	size_t n = ip->family == 4 ? s->n_lengths4 : ip->family == 6 ? s->n_lengths6 : 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t bytes[PREFIX_KEY];
		struct span key = prefix_key(bytes, ip, lengths[i]);

		add_key(c, s, key, strtab_hash(key));
	}
}

void ruleindex_candidates(const struct ruleindex *x, struct route_view *v, struct candidates *out)
{
	const struct shelf *by_ip = &x->shelf[BY_IP];

	out->n = 0;
	out->overflow = false;
	out->count = x->count;
	add_run(out, x->rest, x->rest + x->n_rest);
	if (v->tag.n)
		add_key(out, &x->shelf[BY_TAG], v->tag, v->tag_hash);
	if (v->user.n)
		add_key(out, &x->shelf[BY_USER], v->user, v->user_hash);
	add_name(out, &x->shelf[BY_NAME], v);
	add_ip(out, &x->shelf[BY_SOURCE], &v->a->source.ip);
	if (v->ips_wait)
		add_run(out, by_ip->all, by_ip->all + by_ip->n_all);
	else
		for (size_t i = 0; i < v->n_ips; i++)
			add_ip(out, by_ip, &v->ips[i]);
}

uint32_t candidates_next(struct candidates *c, uint32_t from)
{
	uint32_t next = RULEINDEX_END;

	if (c->overflow)
		return from < c->count ? from : RULEINDEX_END;
	for (unsigned i = 0; i < c->n; i++) {
		while (c->run[i].p < c->run[i].end && *c->run[i].p < from)
			c->run[i].p++;
		if (c->run[i].p < c->run[i].end && *c->run[i].p < next)
			next = *c->run[i].p;
	}
	return next;
}

static size_t shelf_memory(const struct shelf *s)
{
	size_t sum = strtab_memory(&s->keys);

	if (s->keys.n)
		sum += (s->keys.n + s->start[s->keys.n] + s->n_all) * sizeof(uint32_t);
	return sum;
}

size_t ruleindex_memory(const struct ruleindex *x)
{
	size_t sum = sizeof(*x) + x->n_rest * sizeof(*x->rest);

	for (int d = 0; d < DIMENSIONS_; d++)
		sum += shelf_memory(&x->shelf[d]);
	return sum;
}
