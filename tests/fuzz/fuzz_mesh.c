/*
 * Any bytes as a mesh file: it is refused with a message or compiled, and files of ours
 * that come out are ones that we take. The place where a node would be added is
 * found or not, but what was added is one more member.
 */
#include <stdlib.h>

#include "mesh/compile.h"
#include "mesh/eval.h"
#include "mesh/plan.h"

static void check_files(const struct mesh *m)
{
	struct mesh_keys *k = calloc(m->n_nodes, sizeof(*k));
	struct mesh_output out = {0};

	if (!k || mesh_compile(m, k, &out) != 0)
		abort();
	if (out.n_files < m->n_nodes)
		abort();
	mesh_output_free(&out);
	free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf_msgs msgs = {0};
	struct mesh *m = n < 20000 ? mesh_parse("mesh.json", span_of(data, n), &msgs) : NULL;
	char *more = mesh_insert(span_of(data, n), "sites", "\"x\": 1");

	if (m && msgs.errors)
		abort();
	if (m) {
		mesh_expect(m, &msgs);
		check_files(m);
	}
	if (more && strlen(more) < 6)
		abort();
	free(more);
	mesh_free(m);
	conf_msgs_free(&msgs);
	return 0;
}
