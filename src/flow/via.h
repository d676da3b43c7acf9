/* sendThrough: from which local address a connection leaves. */
#ifndef GARENNE_FLOW_VIA_H
#define GARENNE_FLOW_VIA_H

#include "conf/outbound.h"
#include "flow/flow.h"

/**
 * The address to bind, for @f (NULL: a connection that belongs to no flow) when
 * it leaves by an outbound with @via. Family 0: the kernel chooses. Of a prefix
 * a random address is taken.
 */
struct ip via_address(const struct conf_send_through *via, const struct flow *f);

#endif
