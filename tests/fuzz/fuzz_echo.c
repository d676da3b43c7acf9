/* Whatever decodes must encode, and decode again to the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t room[ECHO_HEAD + ECHO_PAYLOAD_MAX];
	struct wr w = wr_of(room, sizeof(room));
	struct echo e, again;

	if (echo_decode(&e, span_of(data, n)) != 0)
		return 0;
	if (echo_encode(&w, &e) != 0 || w.n > n || memcmp(room, data, w.n) != 0)
		abort();
	if (echo_decode(&again, span_of(room, w.n)) != 0)
		abort();
	if (again.kind != e.kind || again.ttl != e.ttl || again.id != e.id || again.seq != e.seq ||
	    !span_eq(again.payload, e.payload) || again.type != e.type || again.code != e.code ||
	    again.info != e.info || !ip_eq(&again.offender, &e.offender))
		abort();
	return 0;
}
