/*
 * Datagrams of one flow. The input is cut into pieces, each led by a byte that
 * says how: raw as it is, or as the frames of an Initial packet of one of the
 * three versions, sealed with the right keys.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/quic_build.h"
#include "proto/sniff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int versions[] = {1, 2, 29};
	static struct sniff_state st;
	struct rd rd = rd_of(span_of(data, size));
	enum sniff_verdict v = SNIFF_MORE;

	memset(&st, 0, sizeof(st));
	for (int i = 0; i < 20 && rd.n > 3 && v == SNIFF_MORE; i++) {
		uint8_t out[5000], how = rd_u8(&rd);
		size_t n = rd_u16(&rd) & 2047;
		struct span piece = rd_take(&rd, n < rd.n ? n : rd.n);
		struct wr w = wr_of(out, sizeof(out));
		struct quic_build q = {.version = versions[how >> 1 & 3 ? (how >> 1 & 3) - 1 : 0],
				       .dcid = span_of("12345678", 8),
				       .number = how,
				       .number_len = (how >> 3 & 3) + 1u};
		struct sniff_result r;

		if (how & 1 && piece.n >= 4)
			quic_seal(&w, &q, piece);
		else
			wr_bytes(&w, piece.p, piece.n);
		v = sniff_datagram(&st, &r, span_of(out, w.n));
		if (strlen(r.domain) > ADDR_NAME_MAX || (v != SNIFF_FOUND && r.domain[0]))
			abort();
		if (st.quic && (v == SNIFF_NONE || r.proto != SNIFF_QUIC))
			abort();
		if (v == SNIFF_FOUND && r.proto == SNIFF_UNKNOWN)
			abort();
	}
	return 0;
}
