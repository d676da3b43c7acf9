/*
 * A traced flow through a VLESS server of ours: it goes as the only session of a
 * mux, along which the server's steps come back.
 */
#ifndef GARENNE_PROXY_VLESS_TRACE_H
#define GARENNE_PROXY_VLESS_TRACE_H

#include "flow/flow.h"

/** Takes @f and @s, a connection that was opened with the command for a mux. */
void vless_trace_start(struct flow *f, struct stream *s);

#endif
