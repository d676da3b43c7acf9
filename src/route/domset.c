#include "route/domset.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "route/acauto.h"
#include "route/ascii.h"
#include "route/strtab.h"

/* The automata and the expressions are NULL until the first pattern of their kind. */
struct domset {
	struct strtab full, suffix;
	struct acauto *keyword, *dotless;
	struct regex *regexp;
	uint32_t any_dotless; /* value of the pattern for every name without a dot */
	atomic_uint refs;
};

struct domset *domset_new(void)
{
	struct domset *s = calloc(1, sizeof(*s));

	if (s) {
		s->any_dotless = DOMSET_NONE;
		atomic_init(&s->refs, 1);
	}
	return s;
}

struct domset *domset_ref(struct domset *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void domset_free(struct domset *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	strtab_fini(&s->full);
	strtab_fini(&s->suffix);
	acauto_free(s->keyword);
	acauto_free(s->dotless);
	regex_free(s->regexp);
	free(s);
}

static int table_add(struct strtab *t, struct span text, uint32_t value)
{
	int rc = text.n > ADDR_NAME_MAX ? 0 : strtab_put(t, text, value);

	return rc < 0 ? rc : 0;
}

static int word_add(struct acauto **a, struct span text, uint32_t value)
{
	if (!*a)
		*a = acauto_new();
	if (!*a)
		return -ERR_NOMEM;
	return text.n > ADDR_NAME_MAX ? 0 : acauto_add(*a, text, value);
}

static int dotless_add(struct domset *s, struct span text, uint32_t value, char *why)
{
	if (text.n == 0) {
		if (value < s->any_dotless)
			s->any_dotless = value;
		return 0;
	}
	if (memchr(text.p, '.', text.n)) {
		snprintf(why, ROUTE_WHY_MAX, "substr in dotless rule should not contain a dot");
		return -ERR_MALFORMED;
	}
	return word_add(&s->dotless, text, value);
}

static int regexp_add(struct domset *s, struct span text, uint32_t value, char *why)
{
	if (!s->regexp)
		s->regexp = regex_new();
	return s->regexp ? regex_add(s->regexp, text, value, why) : -ERR_NOMEM;
}

int domset_add(struct domset *s, enum domset_kind kind, struct span text, uint32_t value,
	       char why[ROUTE_WHY_MAX])
{
	uint8_t low[ADDR_NAME_MAX];
	struct span lower = text;

	if (kind == DOMSET_REGEXP)
		return regexp_add(s, text, value, why);
	if (text.n == 0 && kind != DOMSET_DOTLESS) {
		snprintf(why, ROUTE_WHY_MAX, "empty pattern");
		return -ERR_MALFORMED;
	}
	if (text.n <= sizeof(low))
		lower = ascii_lower_copy(low, text);
	switch (kind) {
	case DOMSET_KEYWORD:
		return word_add(&s->keyword, lower, value);
	case DOMSET_DOMAIN:
		return table_add(&s->suffix, lower, value);
	case DOMSET_FULL:
		return table_add(&s->full, lower, value);
	default:
		return dotless_add(s, lower, value, why);
	}
}

int domset_seal(struct domset *s)
{
	int err = strtab_seal(&s->full);

	if (!err)
		err = strtab_seal(&s->suffix);
	if (!err && s->keyword)
		err = acauto_seal(s->keyword);
	if (!err && s->dotless)
		err = acauto_seal(s->dotless);
	return err;
}

static uint32_t lower_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t find_text(const struct strtab *t, struct span text, uint32_t hash)
{
	int value = strtab_find(t, text, hash);

	return value < 0 ? DOMSET_NONE : (uint32_t)value;
}

static uint32_t find_names(const struct domset *s, const struct domkey *k)
{
	uint32_t best = find_text(&s->full, domkey_name(k), k->hash);

	if (s->suffix.n == 0)
		return best;
	for (size_t i = 0; i < k->n_suffixes && best > 0; i++)
		best = lower_of(best,
				find_text(&s->suffix, domkey_suffix(k, i), k->suffix_hash[i]));
	return lower_of(best, find_text(&s->suffix, domkey_name(k), k->hash));
}

static uint32_t find_dotless(const struct domset *s, const struct domkey *k)
{
	if (memchr(k->name, '.', k->len))
		return DOMSET_NONE;
	if (!s->dotless)
		return s->any_dotless;
	return lower_of(s->any_dotless, acauto_find(s->dotless, domkey_name(k), s->any_dotless));
}

/* Cheap kinds first; none is asked once nothing lower can be found. */
uint32_t domset_find(const struct domset *s, const struct domkey *k)
{
	uint32_t best = find_names(s, k);

	if (best > 0 && s->keyword)
		best = lower_of(best, acauto_find(s->keyword, domkey_name(k), best));
	if (best > 0 && (s->dotless || s->any_dotless != DOMSET_NONE))
		best = lower_of(best, find_dotless(s, k));
	if (best > 0 && s->regexp)
		best = lower_of(best, regex_find(s->regexp, domkey_name(k), best));
	return best;
}

uint64_t domset_regexp_limits(const struct domset *s)
{
	return s->regexp ? regex_limits(s->regexp) : 0;
}

size_t domset_memory(const struct domset *s)
{
	size_t sum = sizeof(*s) + strtab_memory(&s->full) + strtab_memory(&s->suffix);

	if (s->keyword)
		sum += acauto_memory(s->keyword);
	if (s->dotless)
		sum += acauto_memory(s->dotless);
	return s->regexp ? sum + regex_memory(s->regexp) : sum;
}
