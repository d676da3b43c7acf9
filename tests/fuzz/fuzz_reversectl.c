/* Any datagram on the control session; what was read is written and read again to the same. */
#include <stdlib.h>

#include "proto/reversectl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reversectl c, again;
	uint8_t b[REVERSECTL_MAX + 8];
	struct wr w = wr_of(b, sizeof(b));

	if (reversectl_decode(&c, span_of(data, size)) != 0)
		return 0;
	if (c.filler.n > REVERSECTL_FILLER_MAX)
		c.filler.n = REVERSECTL_FILLER_MAX;
	if (reversectl_encode(&w, &c) != 0 || reversectl_decode(&again, span_of(b, w.n)) != 0 ||
	    again.state != c.state || !span_eq(again.filler, c.filler))
		abort();
	return 0;
}
