/*
 * How our own programs know each other over VLESS: a field of the addons, which
 * stock peers skip in a response. A server says it in every response; a client
 * says it in requests to a server that has said it before, because some servers
 * refuse requests with addons that they do not know.
 *
 *     field 1000, varint: bits of what the sender understands
 *       1  half-close: an end of stream means "I have finished sending"
 */
#ifndef GARENNE_PROXY_VLESS_CAP_H
#define GARENNE_PROXY_VLESS_CAP_H

#include <stdbool.h>

#include "base/span.h"

/** Our addons; constant memory. */
struct span vless_cap_addons(void);
/** Did the sender of these addons understand half-close? */
bool vless_cap_has(struct span addons);

#endif
