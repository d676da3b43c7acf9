/*
 * A mesh on disk: mesh.json, beside it keys/NODE.json of each node (mode 0600),
 * and what compile makes in nodes/.
 */
#ifndef GARENNE_APP_MESH_DIR_H
#define GARENNE_APP_MESH_DIR_H

#include "mesh/compile.h"

enum { MESH_PATH_MAX = 4096 };

struct mesh_dir {
	const char *file; /* as the user named it */
	char *text;	  /* of the file */
	struct mesh *m;
	struct mesh_keys *keys; /* by node; NULL when not asked for */
};

/** Reads the file, prints what is wrong with it. 0 or an exit code; free in every case. */
int mesh_dir_open(struct mesh_dir *d, const char *file);
/** Reads the keys of all nodes. 0 or an exit code. */
int mesh_dir_keys(struct mesh_dir *d);
/** Opens, reads the keys and compiles; our own files have been loaded as a test. Zero-initialise @out
 * and free it in every case, like @d. 0 or an exit code. */
int mesh_dir_compile(struct mesh_dir *d, const char *file, struct mesh_output *out);
/** The node called @name, or MESH_NOBODY after the fault was printed. */
int mesh_dir_node(const struct mesh_dir *d, const char *name);
void mesh_dir_free(struct mesh_dir *d);

/** "DIR OF FILE/SUB/NAME.json" into @out; @sub may be "". */
void mesh_dir_path(const char *file, const char *sub, const char *name, char out[MESH_PATH_MAX]);
/** Writes a whole file of mode 0600 at once or not at all; with @fresh it must not exist. Its
 * folder is made. 0, or -ERR_SYS after printing why. */
int mesh_dir_write(const char *path, const char *text, bool fresh);
/** True when the file at @path is @text. */
bool mesh_dir_same(const char *path, const char *text);
/** Prints and frees; returns the number of errors. */
size_t mesh_dir_messages(struct conf_msgs *msgs);

#endif
