/*
 * First bytes of a stream, to all recognisers; then the same bytes as a handshake
 * message in records. A verdict never turns back when more bytes come, and a
 * name is always a host name in lower case.
 */
#include <ctype.h>
#include <stdlib.h>

#include "../unit/hello.h"
#include "proto/sniff.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_domain(const struct sniff_result *r)
{
	size_t n = strlen(r->domain);
	struct addr a;

	if (n == 0)
		return;
	must(n <= ADDR_NAME_MAX && addr_set_host(&a, span_of(r->domain, n), 0) == 0);
	must(a.kind == ADDR_NAME);
	for (size_t i = 0; i < n; i++)
		must(!isupper((unsigned char)r->domain[i]));
}

static void check_prefixes(struct span in)
{
	struct sniff_result whole, part;
	enum sniff_verdict v = sniff_stream(&whole, in);

	check_domain(&whole);
	must(v != SNIFF_FOUND || whole.proto != SNIFF_UNKNOWN);
	for (size_t n = 0; n < in.n; n += 1 + n / 8) {
		enum sniff_verdict p = sniff_stream(&part, span_of(in.p, n));

		must(p != SNIFF_NONE || v == SNIFF_NONE);
		must(p != SNIFF_FOUND || v == SNIFF_FOUND);
		must(p != SNIFF_FOUND || strcmp(part.domain, whole.domain) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t records[80000];
	struct wr w = wr_of(records, sizeof(records));
	struct sniff_result a, b;
	struct span in;

	if (size < 1 || size > 10000)
		return 0;
	in = span_of(data + 1, size - 1);
	check_prefixes(in);
	hello_records(&w, in, (size_t)data[0] * 4 + 1);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (in.n > 0) {
		/* the record layer changes nothing about the message in it */
		must(sniff_hello(&a, in) == sniff_tls(&b, span_of(records, w.n)));
		must(strcmp(a.domain, b.domain) == 0);
		check_domain(&a);
	}
	return 0;
}
