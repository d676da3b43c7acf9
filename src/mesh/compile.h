/*
 * From a mesh to files: one ordinary configuration for each hub and site, a
 * profile and links for each phone, and for each node what its software cannot
 * do. Pure: texts in, texts out.
 */
#ifndef GARENNE_MESH_COMPILE_H
#define GARENNE_MESH_COMPILE_H

#include "mesh/keys.h"
#include "mesh/mesh.h"

enum mesh_file_kind {
	MESH_FILE_GARENNE = 0,
	MESH_FILE_XRAY,
	MESH_FILE_V2RAY,
	MESH_FILE_SING_BOX,
	MESH_FILE_LINK, /* a line for each hub */
	MESH_FILE_FRONT, /* for what does TLS in front of a hub */
};

struct mesh_file {
	int node;
	enum mesh_file_kind kind;
	char *name; /* "paris.json" */
	char *text; /* secret; owned */
};

/* Something that a node's owner must know. */
struct mesh_note {
	int node;
	char *text;
};

struct mesh_output {
	struct mesh_file *files;
	size_t n_files;
	struct mesh_note *notes;
	size_t n_notes;
};

/** @keys: one for each node, in their order; borrowed. Zero-initialise @out and free it in every
 * case. 0 or -ERR_NOMEM. */
int mesh_compile(const struct mesh *m, const struct mesh_keys *keys, struct mesh_output *out);
void mesh_output_free(struct mesh_output *out);

#endif
