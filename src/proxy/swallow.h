/*
 * What happens to a forbidden flow: nothing, for a while. Its client is neither
 * refused nor answered; what it sends is thrown away, as Xray's freedom does,
 * so that a scan through us learns neither what exists nor what is forbidden,
 * and costs time. A client that gives up is let go at once.
 */
#ifndef GARENNE_PROXY_SWALLOW_H
#define GARENNE_PROXY_SWALLOW_H

#include "conf/value.h"
#include "flow/flow.h"

/** Takes the TCP flow as its outbound; it fails with -ERR_BLOCKED after a random time of
 * @delay_s, or when its client ends. @why may be NULL, else lives as long as the program. */
void swallow_flow(struct flow *f, struct conf_range delay_s, const char *why);

#endif
