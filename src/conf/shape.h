/*
 * What two versions of a file have in common: could a program that runs with one take over the other
 * without anybody noticing?
 *
 * Free to change are the routing, the host names of dns outbounds, and who may come in: users of
 * VLESS inbounds and short ids of REALITY may be added. A user who is gone or changed would have to
 * be cut off, and everything else is what sockets, devices and objects were made of.
 */
#ifndef GARENNE_CONF_SHAPE_H
#define GARENNE_CONF_SHAPE_H

#include "conf/jnode.h"
#include "conf/merge.h"

/* A section, an inbound or an outbound: a digest of what may not change. */
struct conf_shape_part {
	const char *name; /* "dns", "inbounds[0] (mesh)" */
	uint64_t digest, whole; /* @whole: of what may change, too */
	const uint64_t *users; /* a digest of each that may come in */
	size_t n_users;
};

struct conf_shape {
	const struct conf_shape_part *v;
	size_t n;
};

/** Fills ld->conf->shape from the merged files. What memory was missing for shows in the arena. */
void conf_shape_take(struct load *ld, const struct merged *m);
/** Is there no difference at all? */
bool conf_shape_same(const struct conf *a, const struct conf *b);
/** May a program that runs with @running go over to @next? False: @why, of @cap, says what stands
 * against it. */
bool conf_shape_allows(const struct conf *running, const struct conf *next, char *why, size_t cap);

#endif
