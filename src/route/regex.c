/*
 * Each expression is compiled on its own to machine code where PCRE2 can do it.
 * They are not joined to one alternation: that would change what numbered groups,
 * back references and inline options mean, and PCRE2 tries the alternatives one
 * after the other anyway, but without the first-byte and required-byte tests by
 * which most expressions fail at once. Instead each one remembers which pairs of
 * letters it needs (bigram.h): of a hundred expressions over names, all but one
 * or two are passed over without being tried.
 *
 * A match needs scratch memory that threads must not share. A few blocks wait in
 * slots, are taken and put back by one atomic exchange each, and are made when
 * all slots are empty.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/regex.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "route/bigram.h"

enum {
	SLOTS = 8,
	QUICK_MAX = 255, /* longer texts have too many pairs for the quick test */
	/* Backtracking steps for one text: a domain name of 255 bytes needs a few
	 * hundred with any sane expression; this is about a millisecond. */
	MATCH_LIMIT = 100000,
	DEPTH_LIMIT = 2000,   /* without JIT */
	HEAP_LIMIT_KIB = 256, /* without JIT */
	OPTIONS = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
		  PCRE2_NEVER_BACKSLASH_C,
};

struct one {
	struct bigrams need;
	pcre2_code *code;
	uint32_t value;
};

/* What matching changes, apart from the list, which is const to it. */
struct scratch {
	_Atomic(pcre2_match_data *) slot[SLOTS];
	_Atomic uint64_t limits;
};

struct regex {
	struct one *v;
	size_t n, cap;
	pcre2_match_context *limit;
	struct scratch *scratch;
};

struct regex *regex_new(void)
{
	struct regex *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->limit = pcre2_match_context_create(NULL);
	r->scratch = calloc(1, sizeof(*r->scratch));
	if (!r->limit || !r->scratch) {
		regex_free(r);
		return NULL;
	}
	pcre2_set_match_limit(r->limit, MATCH_LIMIT);
	pcre2_set_depth_limit(r->limit, DEPTH_LIMIT);
	pcre2_set_heap_limit(r->limit, HEAP_LIMIT_KIB);
	return r;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		pcre2_code_free(r->v[i].code);
	for (size_t i = 0; r->scratch && i < SLOTS; i++)
		pcre2_match_data_free(atomic_load(&r->scratch->slot[i]));
	pcre2_match_context_free(r->limit);
	free(r->scratch);
	free(r->v);
	free(r);
}

int regex_add(struct regex *r, struct span pattern, uint32_t value, char why[ROUTE_WHY_MAX])
{
	PCRE2_SIZE at;
	pcre2_code *code;
	int err;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 1;
		struct one *v = realloc(r->v, cap * sizeof(*v));

		if (!v)
			return -ERR_NOMEM;
		r->v = v;
		r->cap = cap;
	}
	code = pcre2_compile(pattern.n ? pattern.p : (const uint8_t *)"", pattern.n, OPTIONS, &err,
			     &at, NULL);
	if (!code) {
		uint8_t text[200];

		pcre2_get_error_message(err, text, sizeof(text));
		snprintf(why, ROUTE_WHY_MAX, "%s at offset %zu", (const char *)text, (size_t)at);
		return -ERR_MALFORMED;
	}
	/* Where there is no JIT the interpreter does the same, slower. */
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	r->v[r->n] = (struct one){.code = code, .value = value};
	bigrams_of_regexp(&r->v[r->n++].need, pattern);
	return 0;
}

bool regex_empty(const struct regex *r)
{
	return r->n == 0;
}

static pcre2_match_data *scratch_take(struct scratch *s)
{
	for (size_t i = 0; i < SLOTS; i++) {
		pcre2_match_data *md;

		if (!atomic_load_explicit(&s->slot[i], memory_order_relaxed))
			continue;
		md = atomic_exchange_explicit(&s->slot[i], NULL, memory_order_acquire);
		if (md)
			return md;
	}
	return pcre2_match_data_create(1, NULL);
}

static void scratch_put(struct scratch *s, pcre2_match_data *md)
{
	for (size_t i = 0; i < SLOTS; i++) {
		pcre2_match_data *empty = NULL;

		if (atomic_compare_exchange_strong_explicit(
			    &s->slot[i], &empty, md, memory_order_release, memory_order_relaxed))
			return;
	}
	pcre2_match_data_free(md);
}

/* The first expression that matches, and where in @found; NULL when none does. */
static const struct one *match(const struct regex *r, struct span text, uint32_t below,
			       struct span *found)
{
	const uint8_t *p = text.n ? text.p : (const uint8_t *)"";
	const struct one *hit = NULL;
	pcre2_match_data *md = NULL;
	struct bigrams have;

	if (text.n <= QUICK_MAX)
		bigrams_of_text(&have, text);
	else
		memset(&have, 0xff, sizeof(have));
	for (size_t i = 0; i < r->n && r->v[i].value < below && !hit; i++) {
		int rc;

		if (!bigrams_within(&r->v[i].need, &have))
			continue;
		if (!md)
			md = scratch_take(r->scratch);
		rc = md ? pcre2_match(r->v[i].code, p, text.n, 0, 0, md, r->limit)
			: PCRE2_ERROR_NOMEMORY;
		if (rc >= 0)
			hit = &r->v[i];
		else if (rc != PCRE2_ERROR_NOMATCH)
			atomic_fetch_add_explicit(&r->scratch->limits, 1, memory_order_relaxed);
	}
	if (hit && found) {
		const PCRE2_SIZE *at = pcre2_get_ovector_pointer(md);

		*found = at[1] > at[0] ? span_of(p + at[0], at[1] - at[0]) : span_of(p, 0);
	}
	if (md)
		scratch_put(r->scratch, md);
	return hit;
}

uint32_t regex_find(const struct regex *r, struct span text, uint32_t below)
{
	const struct one *hit = match(r, text, below, NULL);

	return hit ? hit->value : REGEX_NONE;
}

struct span regex_search(const struct regex *r, struct span text)
{
	struct span found = {NULL, 0};

	match(r, text, REGEX_NONE, &found);
	return found;
}

uint64_t regex_limits(const struct regex *r)
{
	return atomic_load_explicit(&r->scratch->limits, memory_order_relaxed);
}

size_t regex_memory(const struct regex *r)
{
	size_t sum = sizeof(*r) + sizeof(*r->scratch) + r->cap * sizeof(*r->v);

	for (size_t i = 0; i < r->n; i++) {
		size_t size = 0;

		if (pcre2_pattern_info(r->v[i].code, PCRE2_INFO_SIZE, &size) == 0)
			sum += size;
		if (pcre2_pattern_info(r->v[i].code, PCRE2_INFO_JITSIZE, &size) == 0)
			sum += size;
	}
	return sum;
}
