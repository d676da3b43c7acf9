/* Random UUIDs (RFC 9562, version 4). */
#ifndef GARENNE_CRYPTO_UUID4_H
#define GARENNE_CRYPTO_UUID4_H

#include "base/uuid.h"

/** A fresh one. 0 or -ERR_SYS. */
int uuid4_make(struct uuid *out);

#endif
