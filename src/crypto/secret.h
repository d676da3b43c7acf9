/*
 * Handling of secret bytes: wiping that no compiler removes and comparison
 * that takes the same time wherever the difference is.
 */
#ifndef GARENNE_CRYPTO_SECRET_H
#define GARENNE_CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/** Overwrites @n bytes at @p with zeros; @p may be NULL when @n is 0. */
void secret_wipe(void *p, size_t n);

/** True when the @n bytes at @a and @b are equal; time depends on @n alone. */
bool secret_eq(const void *a, const void *b, size_t n);

#endif
