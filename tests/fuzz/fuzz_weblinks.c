/* Any bytes as a page: what is found lies in it, is a path, and is found once. */
#include <stdlib.h>

#include "proto/weblinks.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span html = span_of(data, size), path;
	const uint8_t *last = data;

	while (weblink_next(&html, "x.test", &path)) {
		must(path.n > 0 && path.n <= WEBLINK_MAX && path.p[0] == '/');
		must(path.p > last && path.p + path.n <= html.p);
		must(html.p + html.n == data + size);
		for (size_t i = 0; i < path.n; i++)
			must(path.p[i] > ' ' && path.p[i] <= '~' && path.p[i] != '.');
		last = path.p;
	}
	must(html.n == 0);
	return 0;
}
