/* From a mesh to the token by which one node joins it. Pure but for the random secret. */
#ifndef GARENNE_MESH_TOKEN_H
#define GARENNE_MESH_TOKEN_H

#include "mesh/keys.h"
#include "mesh/mesh.h"
#include "proto/jointoken.h"

/** The hubs through which @node can join into @hubs, in the order of the file; returns their
 * number. */
size_t mesh_token_hubs(const struct mesh *m, int node, int hubs[JOINTOKEN_HUBS_MAX]);
/** A fresh token for @node, to be wiped. @keys: of all nodes. 0, -ERR_NOROUTE when no hub will do,
 * -ERR_SYS or -ERR_NOMEM. */
int mesh_token_make(const struct mesh *m, const struct mesh_keys *keys, int node,
		    struct jointoken *out);

#endif
