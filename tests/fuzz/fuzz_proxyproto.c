/* Any bytes as a PROXY header: written again and read again it says the same; verdicts are final.
 */
#include <stdlib.h>

#include "proto/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxyproto p, again;
	ssize_t n = proxyproto_decode(&p, span_of(data, size));
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (n > (ssize_t)size || n > PROXYPROTO_DECODE_MAX)
		abort();
	for (size_t i = 0; n != 0 && i < size && i < 300; i += 1 + i / 8) {
		ssize_t early = proxyproto_decode(&again, span_of(data, i));

		if (early != 0 && early != n)
			abort();
	}
	if (n <= 0)
		return 0;
	if (proxyproto_encode(&w, &p) != 0 ||
	    proxyproto_decode(&again, span_of(b, w.n)) != (ssize_t)w.n ||
	    again.version != p.version || again.transport != p.transport ||
	    !ipport_eq(&again.source, &p.source) || !ipport_eq(&again.target, &p.target))
		abort();
	return 0;
}
