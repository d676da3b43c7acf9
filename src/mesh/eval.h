/*
 * The policy as such: may this flow be? Nothing of how it is carried out is
 * known here; that the rules of the generated files say the same is tested.
 */
#ifndef GARENNE_MESH_EVAL_H
#define GARENNE_MESH_EVAL_H

#include "mesh/mesh.h"

struct mesh_flow {
	int from; /* a node */
	struct ip target;
	uint16_t port;
	unsigned network; /* CONF_TCP or CONF_UDP */
};

struct mesh_verdict {
	bool allowed;
	const struct mesh_rule *rule; /* that decided; NULL: none did, so no */
	const struct mesh_exit *exit; /* by which it leaves; NULL: it stays */
	int node;		      /* that it arrives at, or MESH_NOBODY */
};

struct mesh_verdict mesh_eval(const struct mesh *m, const struct mesh_flow *f);
/** Tests all "expect" lines; a wrong one is an error that says which rule decided. */
void mesh_expect(const struct mesh *m, struct conf_msgs *msgs);

#endif
