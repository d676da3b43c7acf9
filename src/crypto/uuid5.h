/*
 * User ids written as text: what is not hexadecimal stands for the version-5
 * UUID (RFC 4122) of the text in the all-zero namespace, as Xray has it.
 */
#ifndef GARENNE_CRYPTO_UUID5_H
#define GARENNE_CRYPTO_UUID5_H

#include "base/uuid.h"

/** The UUID of a text of 1..30 bytes. 0, -ERR_MALFORMED for other lengths, -ERR_NOMEM. */
int uuid5_from_text(struct uuid *out, struct span text);
/** By length, as Xray does: 1..30 bytes are a text, 32..36 hexadecimal. Errors as above. */
int uuid5_parse(struct uuid *out, struct span text);

#endif
