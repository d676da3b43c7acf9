/*
 * Many words looked for in one text at once (Aho and Corasick, 1975): one pass
 * over the text, whatever the number of words. Each word has a number; the
 * lowest one found is the answer.
 *
 * Words and texts are host names: bytes outside [0-9a-z._-] break a word, and a
 * word with such a byte is never found.
 */
#ifndef GARENNE_ROUTE_ACAUTO_H
#define GARENNE_ROUTE_ACAUTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct acauto;

#define ACAUTO_NONE UINT32_MAX

/** NULL without memory. */
struct acauto *acauto_new(void);
void acauto_free(struct acauto *a);
/** @word is not empty. 0, -ERR_NOMEM, or -ERR_LIMIT after 2^30 bytes of words. */
int acauto_add(struct acauto *a, struct span word, uint32_t value);
/** Ends the filling. 0 or -ERR_NOMEM: then only free it. */
int acauto_seal(struct acauto *a);

/** The lowest number below @below of a word that is in @text, or ACAUTO_NONE. */
uint32_t acauto_find(const struct acauto *a, struct span text, uint32_t below);
size_t acauto_memory(const struct acauto *a);

#endif
