/* Any bytes as a share link: what was read is written, and read again as the same. */
#include <stdlib.h>

#include "proto/sharelink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sharelink l, again;
	enum sharelink_fault fault;
	static uint8_t b[4 * SHARELINK_MAX];
	struct wr w = wr_of(b, sizeof(b));
	ssize_t got = sharelink_decode(&l, span_of(data, n), &fault);

	if ((got < 0) != (fault != SHARELINK_FAULT_NONE) || got > (ssize_t)n)
		abort();
	if (got < 0)
		return 0;
	/* Escapes make a link longer: what is read may be too long to be written. */
	if (sharelink_encode(&w, &l) != 0) {
		if (w.n <= SHARELINK_MAX)
			abort();
		return 0;
	}
	if (sharelink_decode(&again, span_of(b, w.n), NULL) != (ssize_t)w.n)
		abort();
	if (strcmp(l.name, again.name) != 0 || strcmp(l.id, again.id) != 0 ||
	    strcmp(l.sni, again.sni) != 0 || strcmp(l.flow, again.flow) != 0 ||
	    l.security != again.security || !addr_eq(&l.server, &again.server))
		abort();
	return 0;
}
