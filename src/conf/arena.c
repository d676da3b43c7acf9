#include "conf/arena.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 16384, ALIGN = 16 };

struct block {
	struct block *next;
	size_t used, cap;
	_Alignas(ALIGN) uint8_t mem[];
};

struct conf_arena {
	struct block *blocks;
	bool failed;
};

struct conf_arena *conf_arena_new(void)
{
	return calloc(1, sizeof(struct conf_arena));
}

void conf_arena_free(struct conf_arena *a)
{
	if (!a)
		return;
	while (a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		explicit_bzero(b->mem, b->used);
		free(b);
	}
	free(a);
}

static struct block *add_block(struct conf_arena *a, size_t size)
{
	size_t cap = size > BLOCK_SIZE ? size : BLOCK_SIZE;
	struct block *b = calloc(1, sizeof(*b) + cap);

	if (!b)
		return NULL;
	b->cap = cap;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *conf_arena_array(struct conf_arena *a, size_t n, size_t size)
{
	struct block *b = a->blocks;
	size_t bytes;
	void *at;

	if (n == 0)
		return NULL;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) {
		a->failed = true;
		return NULL;
	}
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (!b || bytes > b->cap - b->used)
		b = add_block(a, bytes);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	at = b->mem + b->used;
	b->used += bytes;
	return at;
}

const char *conf_arena_text(struct conf_arena *a, struct span s)
{
	char *t;

	if (s.n == 0)
		return "";
	t = conf_arena_array(a, s.n + 1, 1);
	if (!t)
		return "";
	memcpy(t, s.p, s.n);
	return t;
}

const char *conf_arena_lower(struct conf_arena *a, const char *text)
{
	size_t n = strlen(text);
	char *copy = n ? conf_arena_array(a, n + 1, 1) : NULL;

	if (!copy)
		return "";
	for (size_t i = 0; i < n; i++)
		copy[i] = (char)tolower((unsigned char)text[i]);
	return copy;
}

bool conf_arena_failed(const struct conf_arena *a)
{
	return a->failed;
}
