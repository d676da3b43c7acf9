/* THE list: every kind of inbound and outbound, one line each. */
#ifndef GARENNE_APP_KINDS_H
#define GARENNE_APP_KINDS_H

#include "conf/inbound.h"
#include "conf/outbound.h"
#include "flow/inbound.h"
#include "flow/outbound.h"

/** Gives, or NULL with a line logged. Borrows both. */
struct inbound *kinds_inbound(struct core *c, const struct conf_inbound *conf);
struct outbound *kinds_outbound(struct core *c, const struct conf_outbound *conf);

#endif
