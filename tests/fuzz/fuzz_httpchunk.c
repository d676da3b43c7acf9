/* A chunked body ends at the same byte whole, in pieces and byte by byte, or is refused all ways.
 */
#include <stdlib.h>

#include "proto/httpchunk.h"

/* Feeds pieces of @step bytes; where the body ended, or the error. */
static ssize_t feed(struct span in, size_t step, bool *done)
{
	struct httpchunk c;
	size_t at = 0;

	httpchunk_init(&c);
	while (at < in.n && !httpchunk_done(&c)) {
		size_t n = in.n - at < step ? in.n - at : step;
		ssize_t got = httpchunk_feed(&c, span_of(in.p + at, n));

		if (got < 0)
			return got;
		if ((size_t)got > n || ((size_t)got < n && !httpchunk_done(&c)))
			abort();
		at += (size_t)got;
	}
	*done = httpchunk_done(&c);
	return (ssize_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	bool done = false, done_again = false;
	ssize_t end = feed(in, size + 1, &done);

	for (size_t step = 1; step < 9; step += 3)
		if (feed(in, step, &done_again) != end || done != done_again)
			abort();
	return 0;
}
