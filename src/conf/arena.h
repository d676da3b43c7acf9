/*
 * Memory that is allocated piece by piece and freed at once. It is zeroed when
 * given out and wiped when freed, for keys and passwords live in it.
 */
#ifndef GARENNE_CONF_ARENA_H
#define GARENNE_CONF_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct conf_arena;

/** Gives an empty arena, or NULL. */
struct conf_arena *conf_arena_new(void);
/** Takes NULL too. */
void conf_arena_free(struct conf_arena *a);
/** @n zeroed elements of @size bytes, aligned for any type; NULL when memory is out or @n is 0. */
void *conf_arena_array(struct conf_arena *a, size_t n, size_t size);
/** A NUL-terminated copy; "" when memory is out (see conf_arena_failed). */
const char *conf_arena_text(struct conf_arena *a, struct span s);
/** The same with A-Z in lower case. */
const char *conf_arena_lower(struct conf_arena *a, const char *text);
/** True once any allocation has failed. */
bool conf_arena_failed(const struct conf_arena *a);

#endif
