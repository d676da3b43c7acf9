/*
 * Both address forms on any bytes: what was read can be written and read again
 * to the same value, and a verdict never changes when more bytes arrive.
 */
#include <stdlib.h>

#include "proto/netaddr.h"

typedef int (*read_fn)(struct rd *r, struct addr *out);
typedef int (*write_fn)(struct wr *w, const struct addr *a);

static void check(struct span in, read_fn read, write_fn write)
{
	struct rd r = rd_of(in);
	struct addr a, again;
	int got = read(&r, &a);
	uint8_t b[NETADDR_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if ((got == 0) != r.bad)
		abort();
	for (size_t n = 0; n < in.n && got != 0 && n < NETADDR_MAX; n += 1 + n / 8) {
		struct rd part = rd_of(span_of(in.p, n));
		int early = read(&part, &again);

		if (early != 0 && early != got)
			abort();
	}
	if (got != 1)
		return;
	if (write(&w, &a) != 0 || w.n != netaddr_size(&a))
		abort();
	r = rd_of(span_of(b, w.n));
	if (read(&r, &again) != 1 || r.n != 0 || !addr_eq(&a, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(span_of(data, size), netaddr_read_port_first, netaddr_write_port_first);
	check(span_of(data, size), netaddr_read_socks, netaddr_write_socks);
	return 0;
}
