/* THE list: every kind of inbound and outbound, one line each. */
#ifndef GARENNE_APP_KINDS_H
#define GARENNE_APP_KINDS_H

#include "conf/conf.h"
#include "conf/inbound.h"
#include "conf/outbound.h"
#include "flow/inbound.h"
#include "flow/outbound.h"

/** Gives, or NULL with a line logged. Borrows both. */
struct inbound *kinds_inbound(struct core *c, const struct conf_inbound *conf);
struct outbound *kinds_outbound(struct core *c, const struct conf_outbound *conf);
/** The portals that users of VLESS inbounds of @conf name and @c has not: an array of *@n in *@out,
 * both given. Several users may serve one. 0 or -ERR_NOMEM; also then what there is is given. */
int kinds_portals(struct core *c, const struct conf *conf, struct outbound ***out, size_t *n);

#endif
