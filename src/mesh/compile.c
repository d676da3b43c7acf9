#include "mesh/compile.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "mesh/emit.h"

int mesh_compile(const struct mesh *m, const struct mesh_keys *keys, struct mesh_output *out)
{
	struct emit e = {.m = m, .keys = keys, .out = out};

	for (size_t i = 0; i < m->n_nodes; i++) {
		e.node = (int)i;
		switch (m->nodes[i].kind) {
		case MESH_HUB:
			emit_hub(&e);
			break;
		case MESH_SITE:
			emit_site(&e);
			break;
		default:
			emit_phone(&e);
			break;
		}
	}
	return e.failed ? -ERR_NOMEM : 0;
}

void mesh_output_free(struct mesh_output *out)
{
	for (size_t i = 0; i < out->n_files; i++) {
		secret_wipe(out->files[i].text, strlen(out->files[i].text));
		free(out->files[i].text);
		free(out->files[i].name);
	}
	for (size_t i = 0; i < out->n_notes; i++)
		free(out->notes[i].text);
	free(out->files);
	free(out->notes);
	memset(out, 0, sizeof(*out));
}
