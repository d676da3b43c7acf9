/*
 * User ids of VLESS: 16 bytes, written as 32 hexadecimal digits with or without
 * dashes. Any other text of 1..30 bytes stands for the version-5 UUID of that
 * text in the all-zero namespace (computed in crypto, which has SHA-1).
 */
#ifndef GARENNE_BASE_UUID_H
#define GARENNE_BASE_UUID_H

#include <stdint.h>

#include "base/span.h"

enum { UUID_LEN = 16, UUID_TEXT = 37 };

struct uuid {
	uint8_t b[UUID_LEN];
};

/** Parses the hexadecimal form (32..36 bytes). 0 or -ERR_MALFORMED. */
int uuid_parse(struct uuid *out, struct span text);
/** Lower-case, dashed, NUL-terminated into @out[UUID_TEXT]; returns @out. */
char *uuid_text(const struct uuid *u, char out[UUID_TEXT]);

#endif
