/* The ClientHello and its server name (RFC 6066 3): see tlshello.h. */
#include "base/err.h"
#include "proto/sniff.h"
#include "proto/tlshello.h"

enum sniff_verdict sniff_hello(struct sniff_result *out, struct span in)
{
	struct tlshello_client h;
	struct span name;
	struct rd rd = rd_of(in);
	uint8_t type = rd_u8(&rd);
	size_t len = rd_u24(&rd);
	ssize_t n;

	if (in.n > 0 && type != TLS_MSG_CLIENT_HELLO)
		return SNIFF_NONE;
	if (!rd.bad && len > SNIFF_HELLO_MAX - TLS_MSG_HEADER_LEN)
		return SNIFF_NONE;
	n = tlshello_client_decode(&h, in);
	if (n <= 0)
		return n ? SNIFF_NONE : SNIFF_MORE;
	switch (tlshello_sni(&h, &name)) {
	case 0:
		sniff_set_domain(out, name);
		return SNIFF_FOUND;
	case -ERR_EOF:
		return SNIFF_FOUND;
	default:
		return SNIFF_NONE;
	}
}

enum sniff_verdict sniff_tls(struct sniff_result *out, struct span in)
{
	uint8_t joined[SNIFF_HELLO_MAX];
	struct wr wr = wr_of(joined, sizeof(joined));
	enum sniff_verdict v = SNIFF_NONE;
	ssize_t n = tlshello_join(&wr, in, NULL);

	if (n >= 0)
		v = wr.n > 0 ? sniff_hello(out, span_of(joined, wr.n)) : SNIFF_MORE;
	if (v == SNIFF_FOUND || (v == SNIFF_MORE && wr.n > 0))
		out->proto = SNIFF_TLS;
	if (v == SNIFF_NONE)
		out->proto = SNIFF_UNKNOWN;
	return v;
}
