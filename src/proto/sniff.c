#include "proto/sniff.h"

#include <ctype.h>

#include "base/err.h"

const char *sniff_proto_name(enum sniff_proto p)
{
	static const char *const names[SNIFF_PROTO_MAX_] = {
		[SNIFF_UNKNOWN] = "",  [SNIFF_HTTP1] = "http1",		  [SNIFF_TLS] = "tls",
		[SNIFF_QUIC] = "quic", [SNIFF_BITTORRENT] = "bittorrent",
	};

	return p < SNIFF_PROTO_MAX_ ? names[p] : "";
}

void sniff_set_domain(struct sniff_result *out, struct span name)
{
	struct addr a;

	out->domain[0] = 0;
	if (addr_set_host(&a, name, 0) != 0 || a.kind != ADDR_NAME || name.p[name.n - 1] == '.')
		return;
	for (size_t i = 0; i <= name.n; i++) /* the NUL too */
		out->domain[i] = (char)tolower((unsigned char)a.name[i]);
}

enum sniff_verdict sniff_stream(struct sniff_result *out, struct span first)
{
	static enum sniff_verdict (*const recogniser[])(struct sniff_result *, struct span) = {
		sniff_http, sniff_tls, sniff_bittorrent};
	struct sniff_result pending = {0};
	enum sniff_verdict sum = SNIFF_NONE;

	for (size_t i = 0; i < sizeof(recogniser) / sizeof(recogniser[0]); i++) {
		enum sniff_verdict v;

		memset(out, 0, sizeof(*out));
		v = recogniser[i](out, first);
		if (v == SNIFF_FOUND)
			return v;
		if (v == SNIFF_MORE) {
			sum = v;
			if (out->proto != SNIFF_UNKNOWN)
				pending = *out;
		}
	}
	*out = pending;
	return sum;
}

enum sniff_verdict sniff_datagram(struct sniff_state *st, struct sniff_result *out,
				  struct span datagram)
{
	bool first = st->datagrams == 0;
	enum sniff_verdict v;

	if (st->datagrams < SNIFF_QUIC_DATAGRAMS)
		st->datagrams++;
	memset(out, 0, sizeof(*out));
	if (first) {
		v = sniff_utp(out, datagram);
		if (v == SNIFF_FOUND)
			return v;
	}
	v = first || st->quic ? sniff_quic(st, out, datagram) : SNIFF_NONE;
	if (st->quic && (v == SNIFF_NONE || st->datagrams == SNIFF_QUIC_DATAGRAMS))
		v = SNIFF_FOUND; /* QUIC it is, as an authentic packet has shown, name or not */
	out->proto = st->quic ? SNIFF_QUIC : SNIFF_UNKNOWN;
	return v;
}
