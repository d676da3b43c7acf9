#include "route/portset.h"

#include <stdlib.h>

#include "base/err.h"

static int by_start(const void *a, const void *b)
{
	const struct conf_port_range *x = a, *y = b;

	return (int)x->from - (int)y->from;
}

int portset_init(struct portset *s, const struct conf_ports *ports)
{
	size_t n = 0;

	if (ports->n == 0)
		return 0;
	s->v = calloc(ports->n, sizeof(*s->v));
	if (!s->v)
		return -ERR_NOMEM;
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].from <= ports->v[i].to)
			s->v[n++] = ports->v[i];
	qsort(s->v, n, sizeof(*s->v), by_start);
	for (size_t i = 0; i < n; i++) {
		if (s->n > 0 && s->v[i].from <= s->v[s->n - 1].to) {
			if (s->v[i].to > s->v[s->n - 1].to)
				s->v[s->n - 1].to = s->v[i].to;
		} else {
			s->v[s->n++] = s->v[i];
		}
	}
	return 0;
}

void portset_fini(struct portset *s)
{
	free(s->v);
	*s = (struct portset){0};
}

bool portset_has(const struct portset *s, uint16_t port)
{
	size_t low = 0, high = s->n; /* the first range that ends at or after @port */

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->v[mid].to < port)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->v[low].from <= port;
}
