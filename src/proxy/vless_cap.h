/*
 * How our own programs know each other over VLESS: fields of the addons, which
 * stock peers skip in a response. A server says them in every response; a client
 * says them in requests to a server that has said them before (or that its file
 * calls one of ours), because some servers refuse addons that they do not know.
 *
 *     field 1000, varint: bits of what the sender understands
 *       1  half-close: an end of stream means "I have finished sending"
 *       2  verdict: a client waits for the response, and it comes when the target has
 *          answered or failed, before the target's bytes; a server does so for such clients
 *       4  trace: a server tells the steps of traced mux sessions (proto/muxext.h)
 *       8  echo: UDP to port 0 carries echo exchanges (proto/echo.h)
 *      16  source: a server reads field 1002
 *     field 1001, varint: in a response, why the target could not be reached: the values
 *          of REFUSED in proto/muxext.h; without it, it could
 *     field 1002, bytes: in a request, whose flow it is: 4 or 16 bytes address, u16 port. The
 *          server believes what its file lets the user say
 */
#ifndef GARENNE_PROXY_VLESS_CAP_H
#define GARENNE_PROXY_VLESS_CAP_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/span.h"

enum {
	VLESS_CAP_HALF_CLOSE = 1,
	VLESS_CAP_VERDICT = 2,
	VLESS_CAP_TRACE = 4,
	VLESS_CAP_ECHO = 8,
	VLESS_CAP_SOURCE = 16,
	VLESS_CAP_ALL = 31,
	VLESS_CAP_ADDONS_MAX = 32,
};

struct vless_cap {
	unsigned bits;	 /* 0: not one of ours */
	uint8_t refusal; /* response; 0: none */
	struct ipport source; /* request; family 0: none */
};

/** What the sender of these addons says of itself. */
struct vless_cap vless_cap_decode(struct span addons);
/** Appends our fields to addons under way. */
void vless_cap_encode(struct wr *out, const struct vless_cap *c);

#endif
