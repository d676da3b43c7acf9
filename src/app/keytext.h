/* Keys as the key-making commands read and print them: base64, one "Name: text" a line. */
#ifndef GARENNE_APP_KEYTEXT_H
#define GARENNE_APP_KEYTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { KEYTEXT_MAX = 1952 }; /* bytes of the longest key: ML-DSA-65, public */

/** Reads a key of exactly @n bytes (at most 64) in either alphabet, padded or not: nobody should
 * have to know which program wrote it. 0 or -ERR_MALFORMED. */
int keytext_read(uint8_t *key, size_t n, const char *text);
/** Prints a key of at most KEYTEXT_MAX bytes; @form: flags of crypto/base64.h. */
void keytext_print(const char *name, struct span key, unsigned form);

#endif
