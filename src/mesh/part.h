/*
 * A node's places cut by the outbound that ends a flow for them. garenne does
 * with one what stock programs, which cannot map prefixes, need one for each
 * host for. Private to this folder.
 */
#ifndef GARENNE_MESH_PART_H
#define GARENNE_MESH_PART_H

#include "mesh/emit.h"

enum { PART_TAG = 48, PARTS_MAX = 320 };

struct mesh_part {
	struct prefix seen;
	char tag[PART_TAG];
};

/** The parts of e->node into @out, as flows that rule @r lets through reach them; NULL: the node's
 * own users, who are dialled for. Returns their number. */
size_t mesh_parts(struct emit *e, const struct mesh_rule *r, struct mesh_part out[PARTS_MAX]);
/** The outbounds of these parts. */
void mesh_part_outbounds(struct emit *e, cJSON *outbounds);

/* By what a rule tells whose flow it is. */
enum mesh_by {
	MESH_BY_SOURCE = 0, /* virtual addresses, at the destination */
	MESH_BY_USER,	    /* accounts, at a hub */
	MESH_BY_LOCAL,	    /* the node's own users */
};

/** All rules of the policy that end at e->node itself. */
void mesh_rules_here(struct emit *e, cJSON *rules, enum mesh_by by);
/** Those that end at @node, to which @outbound leads. */
void mesh_rules_away(struct emit *e, cJSON *rules, int node, const char *outbound,
		     enum mesh_by by);
/** A forward to e->node. */
void mesh_forward_here(struct emit *e, cJSON *rules, const struct mesh_forward *f);
/** Tag of the part that a forward leads to, or "block". */
const char *mesh_part_of(struct emit *e, const struct mesh_forward *f, char out[PART_TAG]);

#endif
