/*
 * A trie while it is filled; sealing numbers its nodes breadth first, so that the
 * children of a node are neighbours. A node then needs no table of children: a
 * bit for each of the 39 letters that occur, and the number of the first child;
 * the child for a letter is as many places further as there are bits below that
 * letter's. 20 bytes a node. Where the trie has no such child, the search goes on
 * at the longest suffix of what was read that is a node (@fail); each step back
 * undoes a step forward, so a text of n bytes takes at most 2n steps.
 */
#include "route/acauto.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum {
	NO_LETTER = 63,
	ROOT = 0,
	COUNT_MAX = 1 << 30,
};

struct build {
	uint32_t child, sibling; /* 0: none, as the root is nobody's child */
	uint32_t value;
	uint8_t letter;
};

struct state {
	uint32_t first; /* child with the lowest letter */
	uint32_t fail;
	uint32_t value; /* lowest of all words that end here */
};

struct acauto {
	struct build *build; /* only while it is filled */
	uint32_t n, cap;
	uint64_t *letters; /* per state: bit set of its children */
	struct state *states;
};

static unsigned letter_of(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '0' && c <= '9')
		return 26u + c - '0';
	switch (c) {
	case '.':
		return 36;
	case '-':
		return 37;
	case '_':
		return 38;
	default:
		return NO_LETTER;
	}
}

static int node_new(struct acauto *a, uint8_t letter)
{
	if (a->n == a->cap) {
		uint32_t cap = a->cap ? a->cap * 2 : 32;
		struct build *build;

		if (a->n >= COUNT_MAX)
			return -ERR_LIMIT;
		build = realloc(a->build, cap * sizeof(*build));
		if (!build)
			return -ERR_NOMEM;
		a->build = build;
		a->cap = cap;
	}
	a->build[a->n++] = (struct build){.value = ACAUTO_NONE, .letter = letter};
	return 0;
}

struct acauto *acauto_new(void)
{
	struct acauto *a = calloc(1, sizeof(*a));

	if (a && node_new(a, 0) != 0) {
		acauto_free(a);
		return NULL;
	}
	return a;
}

void acauto_free(struct acauto *a)
{
	if (!a)
		return;
	free(a->build);
	free(a->letters);
	free(a->states);
	free(a);
}

/* Siblings are kept in the order of their letters. */
static int step_or_grow(struct acauto *a, uint32_t *node, uint8_t letter)
{
	uint32_t prev = 0, next = a->build[*node].child;
	int err;

	while (next != 0 && a->build[next].letter < letter) {
		prev = next;
		next = a->build[next].sibling;
	}
	if (next != 0 && a->build[next].letter == letter) {
		*node = next;
		return 0;
	}
	err = node_new(a, letter);
	if (err)
		return err;
	a->build[a->n - 1].sibling = next;
	if (prev != 0)
		a->build[prev].sibling = a->n - 1;
	else
		a->build[*node].child = a->n - 1;
	*node = a->n - 1;
	return 0;
}

int acauto_add(struct acauto *a, struct span word, uint32_t value)
{
	uint32_t node = ROOT;

	for (size_t i = 0; i < word.n; i++)
		if (letter_of(word.p[i]) == NO_LETTER)
			return 0;
	for (size_t i = 0; i < word.n; i++) {
		int err;

		if (a->build[node].value <= value)
			return 0; /* whoever gets here has found a better word already */
		err = step_or_grow(a, &node, (uint8_t)letter_of(word.p[i]));
		if (err)
			return err;
	}
	if (value < a->build[node].value)
		a->build[node].value = value;
	return 0;
}

/* @order[i] becomes the build node that is state i; children of a state are neighbours. */
static void number_states(struct acauto *a, uint32_t *order)
{
	uint32_t n = 1;

	order[0] = ROOT;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct build *b = &a->build[order[i]];

		a->states[i] = (struct state){.first = n, .value = b->value};
		a->letters[i] = 0;
		for (uint32_t c = b->child; c != 0; c = a->build[c].sibling) {
			a->letters[i] |= 1ull << a->build[c].letter;
			order[n++] = c;
		}
	}
}

static uint32_t child_of(const struct acauto *a, uint32_t state, unsigned letter)
{
	uint64_t below = a->letters[state] & ((1ull << letter) - 1);

	return a->states[state].first + (uint32_t)__builtin_popcountll(below);
}

static uint32_t step(const struct acauto *a, uint32_t state, unsigned letter)
{
	while (!(a->letters[state] >> letter & 1)) {
		if (state == ROOT)
			return ROOT;
		state = a->states[state].fail;
	}
	return child_of(a, state, letter);
}

/* Parents come before children, so a state's own fail is known when its children need it. */
static void link_states(struct acauto *a, const uint32_t *order)
{
	for (uint32_t i = 0; i < a->n; i++) {
		for (uint32_t c = a->build[order[i]].child; c != 0; c = a->build[c].sibling) {
			unsigned letter = a->build[c].letter;
			struct state *s = &a->states[child_of(a, i, letter)];

			s->fail = i == ROOT ? ROOT : step(a, a->states[i].fail, letter);
			if (a->states[s->fail].value < s->value)
				s->value = a->states[s->fail].value;
		}
	}
}

int acauto_seal(struct acauto *a)
{
	uint32_t *order = malloc(a->n * sizeof(*order));

	a->letters = malloc(a->n * sizeof(*a->letters));
	a->states = malloc(a->n * sizeof(*a->states));
	if (!order || !a->letters || !a->states) {
		free(order);
		return -ERR_NOMEM;
	}
	number_states(a, order);
	link_states(a, order);
	free(order);
	free(a->build);
	a->build = NULL;
	return 0;
}

uint32_t acauto_find(const struct acauto *a, struct span text, uint32_t below)
{
	uint32_t state = ROOT, best = ACAUTO_NONE;

	for (size_t i = 0; i < text.n && best > 0; i++) {
		unsigned letter = letter_of(text.p[i]);

		state = letter == NO_LETTER ? ROOT : step(a, state, letter);
		if (a->states[state].value < best)
			best = a->states[state].value;
	}
	return best < below ? best : ACAUTO_NONE;
}

size_t acauto_memory(const struct acauto *a)
{
	return sizeof(*a) + a->n * (sizeof(*a->letters) + sizeof(*a->states));
}
