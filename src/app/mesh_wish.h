/* What the command line says of a new node of a mesh: its options, and whether they make sense. */
#ifndef GARENNE_APP_MESH_WISH_H
#define GARENNE_APP_MESH_WISH_H

#include "app/opts.h"
#include "base/addr.h"
#include "mesh/mesh.h"

enum { MESH_WISH_OPTS = 16 };

struct command;

struct mesh_wish {
	const char *file, *name, *address, *software, *app, *socks, *security, *target; /* or NULL */
	const char *cert, *key;
	struct opts_list lans;
	bool no_tun;
	bool any_target; /* nobody chose one */
};

/** Fills @table with all of them; returns their number, at which NULL ends it. */
size_t mesh_wish_opts(struct mesh_wish *w, struct opts table[MESH_WISH_OPTS]);
/** Is every option one of a node of @kind, and a thing that can be? Sets what was left out and has a
 * default. 0, or EXIT_USAGE after the fault was printed for @c. */
int mesh_wish_check(const struct command *c, struct mesh_wish *w, enum mesh_kind kind);
/** -address, which has been checked. */
void mesh_wish_address(const struct mesh_wish *w, struct addr *out);

#endif
