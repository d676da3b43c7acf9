/* What a new node gets, and how it is written into the file. */
#ifndef GARENNE_MESH_PLAN_H
#define GARENNE_MESH_PLAN_H

#include "mesh/mesh.h"

/** The address after the highest in use of a node's kind. 0 or -ERR_LIMIT when the range is full,
 * -ERR_UNSUPPORTED when the mesh has no addresses of this family. */
int mesh_next_ip(const struct mesh *m, enum mesh_kind kind, int family, struct ip *out);
/** A prefix as long as @real, behind the highest in use plus @skip more; errors as above. */
int mesh_next_prefix(const struct mesh *m, const struct prefix *real, size_t skip,
		     struct prefix *out);
/**
 * Adds the member @text ("\"name\": { ... }", lines without indentation of their own) to the
 * object @section of the file @in, which is created when there is none; comments and layout of the
 * rest stay as they are. Gives the new file, or NULL: memory, or @in is no text of one object.
 */
char *mesh_insert(struct span in, const char *section, const char *text);

#endif
