/*
 * The expression is read as a chain of parts at its top level. Plain letters that
 * follow each other, none of them optional, are a run that every match contains.
 * Groups, classes and dots end a run and are skipped. Whatever could change what
 * letters mean (options, look-around, unusual escapes), and alternatives at the
 * top level, end the reading with "nothing is certain": being wrong here would
 * mean a rule that does not match when it should.
 */
#include "route/bigram.h"

static void add(struct bigrams *out, uint8_t a, uint8_t b)
{
	uint32_t bit = ((uint32_t)a << 8 | b) * 0x9e3779b1u >> 24;

	out->w[bit / 64] |= 1ull << bit % 64;
}

void bigrams_of_text(struct bigrams *out, struct span text)
{
	*out = (struct bigrams){{0}};
	for (size_t i = 1; i < text.n; i++)
		add(out, text.p[i - 1], text.p[i]);
}

/* The expression being read. */
struct reader {
	const uint8_t *p, *end;
};

static int peek(const struct reader *r)
{
	return r->p < r->end ? *r->p : -1;
}

/* Behind the "[": past the "]" that ends the class. False when there is none. */
static bool skip_class(struct reader *r)
{
	if (peek(r) == '^')
		r->p++;
	if (peek(r) == ']') /* the first one is a member */
		r->p++;
	while (r->p < r->end) {
		uint8_t c = *r->p++;

		if (c == ']')
			return true;
		if (c == '\\')
			r->p++;
		if (c == '[') /* [:alpha:] and the like: not worth understanding */
			return false;
	}
	return false;
}

/* Behind the "(": past the ")" that ends the group. */
static bool skip_group(struct reader *r)
{
	size_t depth = 1;

	while (r->p < r->end) {
		uint8_t c = *r->p++;

		if (c == '\\')
			r->p++;
		else if (c == '[' && !skip_class(r))
			return false;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return true;
	}
	return false;
}

/* Options, look-around, comments and verbs, but for (?: which is harmless; \Q and \E. */
static bool is_special(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		uint8_t next = s.p[i + 1];

		if (s.p[i] == '(' && next == '?' && (i + 2 == s.n || s.p[i + 2] != ':'))
			return true;
		if ((s.p[i] == '(' && next == '*') ||
		    (s.p[i] == '\\' && (next == 'Q' || next == 'E')))
			return true;
	}
	return false;
}

enum part {
	PART_LETTER,
	PART_OTHER,   /* matches something, we do not care what */
	PART_NOTHING, /* matches between letters: ^ $ \b */
	PART_UNKNOWN,
};

static bool is_in(uint8_t c, const char *set)
{
	return c && strchr(set, c) != NULL;
}

static enum part read_escape(struct reader *r, uint8_t *letter)
{
	*letter = r->p < r->end ? *r->p++ : 'Q';
	if (is_in(*letter, "dDwWsS"))
		return PART_OTHER;
	if (is_in(*letter, "bBAz"))
		return PART_NOTHING;
	return is_in(*letter, "!\"#%&',-./:;<=>@_`~$()*+?[\\]^{|}") ? PART_LETTER : PART_UNKNOWN;
}

static enum part read_part(struct reader *r, uint8_t *letter)
{
	*letter = *r->p++;
	switch (*letter) {
	case '\\':
		return read_escape(r, letter);
	case '^':
	case '$':
		return PART_NOTHING;
	case '.':
		return PART_OTHER;
	case '[':
		return skip_class(r) ? PART_OTHER : PART_UNKNOWN;
	case '(':
		return skip_group(r) ? PART_OTHER : PART_UNKNOWN;
	case '|':
	case ')':
	case '*':
	case '+':
	case '?':
	case '{':
		return PART_UNKNOWN;
	default:
		return *letter < 0x80 ? PART_LETTER : PART_OTHER;
	}
}

enum times {
	ONCE,
	AT_LEAST_ONCE,
	ANY_NUMBER, /* perhaps none */
	TIMES_UNKNOWN,
};

/* What follows a part and says how often it comes. */
static enum times read_times(struct reader *r)
{
	enum times t = ANY_NUMBER;

	switch (peek(r)) {
	case '+':
		t = AT_LEAST_ONCE;
		break;
	case '*':
	case '?':
		break;
	case '{':
		do
			r->p++;
		while (is_in((uint8_t)peek(r), "0123456789,"));
		if (peek(r) != '}') /* plain text, to PCRE2 */
			return TIMES_UNKNOWN;
		break;
	default:
		return ONCE;
	}
	r->p++;
	while (peek(r) == '?' || peek(r) == '+') /* lazy, possessive */
		r->p++;
	return t;
}

void bigrams_of_regexp(struct bigrams *out, struct span pattern)
{
	struct reader r = {pattern.p, pattern.p + pattern.n};
	struct bigrams need = {{0}};
	int last = -1; /* letter before this part, when it surely stands right there */

	*out = need;
	if (pattern.n == 0 || is_special(pattern))
		return;
	while (r.p < r.end) {
		uint8_t letter;
		enum part part = read_part(&r, &letter);
		enum times times = part == PART_UNKNOWN ? ONCE : read_times(&r);

		if (part == PART_UNKNOWN || times == TIMES_UNKNOWN || r.p > r.end)
			return;
		if (part == PART_NOTHING)
			continue;
		if (part == PART_LETTER && times != ANY_NUMBER && last >= 0)
			add(&need, (uint8_t)last, letter);
		/* "ab+c": the last b stands before the c */
		last = part == PART_LETTER && times != ANY_NUMBER ? letter : -1;
	}
	*out = need;
}
