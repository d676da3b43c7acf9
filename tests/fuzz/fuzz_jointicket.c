/* Tickets and marks: whatever decodes must encode to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/jointicket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t room[JOINTICKET_MAX];
	struct span in = span_of(data, n);
	struct wr w = wr_of(room, sizeof(room));
	struct jointicket t;
	struct joinmark m;
	ssize_t used = jointicket_decode(&t, in);

	if (used > (ssize_t)n)
		abort();
	if (used > 0 && (jointicket_encode(&w, &t) != 0 || (ssize_t)w.n != used ||
			 memcmp(room, data, w.n) != 0))
		abort();
	used = joinmark_decode(&m, in);
	w = wr_of(room, JOINMARK_MAX);
	if (used > 0 && (joinmark_encode(&w, &m) != 0 || (ssize_t)w.n != used ||
			 memcmp(room, data, w.n) != 0))
		abort();
	return 0;
}
