/* A request in pieces: every span lies inside the input, and a found name stays. */
#include <stdlib.h>
#include <string.h>

#include "proto/sniff.h"

static void inside(struct span part, struct span in)
{
	if (part.n > 0 && (part.p < in.p || part.p + part.n > in.p + in.n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), rest, name, value;
	struct sniff_result whole = {0};
	enum sniff_verdict v = sniff_http(&whole, in);

	inside(whole.method, in);
	inside(whole.path, in);
	inside(whole.headers, in);
	if (v == SNIFF_FOUND && (whole.method.n == 0 || whole.path.n == 0))
		abort();
	rest = whole.headers;
	while (sniff_header_next(&rest, &name, &value)) {
		inside(name, in);
		inside(value, in);
	}
	for (size_t n = 0; n < size; n += 1 + n / 8) {
		struct sniff_result part = {0};
		enum sniff_verdict p = sniff_http(&part, span_of(data, n));

		if ((p == SNIFF_NONE && v != SNIFF_NONE) || (p == SNIFF_FOUND && v != SNIFF_FOUND))
			abort();
		if (p == SNIFF_FOUND && strcmp(part.domain, whole.domain) != 0)
			abort();
	}
	return 0;
}
