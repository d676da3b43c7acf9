/* What the files that read a mesh share. Private to this folder. */
#ifndef GARENNE_MESH_PARSE_H
#define GARENNE_MESH_PARSE_H

#include "conf/jnode.h"
#include "conf/value_parse.h"
#include "mesh/mesh.h"

struct mesh_parser {
	struct load ld;
	struct mesh *m;
	enum mesh_security security; /* of hubs that do not say */
};

/** hubs, sites and phones. */
void mesh_parse_nodes(struct mesh_parser *p, const struct jnode *root);
/** groups, policy, exits, forwards and expect; the nodes are known. */
void mesh_parse_rules(struct mesh_parser *p, const struct jnode *root);
void mesh_parse_expect(struct mesh_parser *p, const struct jnode *list);
/** What is wrong with the whole. */
void mesh_check(struct mesh_parser *p);

/** "delivery" of @obj, or @otherwise. */
enum mesh_delivery mesh_parse_delivery(const struct jnode *obj, enum mesh_delivery otherwise);
/** Whose flows "from" means. */
void mesh_parse_from(struct mesh_parser *p, const struct jnode *n, struct mesh_from *out);
/** One address of the mesh, "NODE", "HOST.NODE" or an IP; false and an error for anything else. */
bool mesh_parse_target(struct mesh_parser *p, const struct jnode *n, struct span text,
		       struct mesh_place *out);
/** An error at a place that is known by the tree alone. */
void mesh_error(struct mesh_parser *p, const struct conf_at *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
