/*
 * A UDP association has one flow, but its datagrams may be for anybody, and the
 * rules are about whom they are for: a second host may be behind another
 * outbound, or forbidden. So the rules are asked for each address that an
 * association has not used yet. What takes the flow's own way goes on in it, so
 * that the far end sees one socket (full cone); every other address gets a flow
 * of its own, which shares the association with the first.
 */
#ifndef GARENNE_FLOW_FAN_H
#define GARENNE_FLOW_FAN_H

#include "flow/flow.h"

enum { FAN_BRANCHES = 256 }; /* beyond that datagrams are lost */

struct fan;

/** True when @party does not belong in @f itself; takes @pkt then. @f is RELAYING. */
bool fan_takes(struct flow *f, const struct addr *party, struct buf *pkt);
/** The association is over, and so are its branches. */
void fan_end(struct flow *f, int err);

#endif
