/*
 * A flow that waits for the far side's verdict on its mux session before bytes
 * move, because somebody at our end wants to hear it. Steps of a traced session
 * are passed on. The peer is one of ours.
 */
#ifndef GARENNE_PROXY_MUX_AWAIT_H
#define GARENNE_PROXY_MUX_AWAIT_H

#include "flow/flow.h"

/** Takes @f and @session, which mux_open gave. A peer that says nothing for long counts as one that
 * cannot tell. */
void mux_await_start(struct flow *f, struct stream *session);

#endif
