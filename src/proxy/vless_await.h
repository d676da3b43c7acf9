/*
 * A flow that waits for its VLESS server's word on the target (vless_cap.h)
 * before bytes move, because somebody at our end wants to hear it.
 */
#ifndef GARENNE_PROXY_VLESS_AWAIT_H
#define GARENNE_PROXY_VLESS_AWAIT_H

#include "flow/flow.h"

/** Takes @f and @s; @vless is the layer in @s that reads the response. A server that says nothing
 * for long counts as one that cannot tell. */
void vless_await_start(struct flow *f, struct stream *s, struct stream *vless);

#endif
