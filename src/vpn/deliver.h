/*
 * What the outbound "tun" puts between a flow's packets and the device: they are told under the
 * prefixes of its maps, and each goes only where its final rules let it.
 */
#ifndef GARENNE_VPN_DELIVER_H
#define GARENNE_VPN_DELIVER_H

#include "conf/outbound.h"
#include "flow/final_rules.h"
#include "flow/flow.h"

struct deliver_terms {
	const struct conf_out_tun *conf;
	const struct final_rules *rules; /* NULL: everything may be reached */
};

/** Where a flow of @f to @to really goes: 0, or -ERR_BLOCKED. */
int deliver_place(const struct deliver_terms *t, const struct flow *f, struct ipport *to);
/** A layer over @below, an association of the device, for @f, which goes to @real. Takes @below,
 * borrows @t. Gives, or NULL. */
struct dgram *deliver_dgram_new(const struct deliver_terms *t, const struct flow *f,
				const struct ipport *real, struct dgram *below);

#endif
