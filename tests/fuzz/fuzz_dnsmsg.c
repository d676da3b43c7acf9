/*
 * Any bytes as a DNS query and as a reply: a query encodes and decodes to the same, and
 * what we answer with the addresses of a reply is read back with the same addresses.
 */
#include <stdlib.h>

#include "proto/dnsmsg.h"

static void check_query(struct span in)
{
	struct dnsmsg_query q, again;
	ssize_t n = dnsmsg_query_decode(&q, in);
	uint8_t b[DNSMSG_QUERY_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (n == 0 || n > (ssize_t)in.n)
		abort();
	struct ip ip;

	if (n < 0)
		return;
	(void)dnsmsg_arpa_decode(&ip, q.name);
	if (dnsmsg_query_encode(&w, &q) != 0 ||
	    dnsmsg_query_decode(&again, span_of(b, w.n)) != (ssize_t)w.n || again.id != q.id ||
	    again.recurse != q.recurse || again.type != q.type || again.class != q.class ||
	    strcmp(again.name, q.name) != 0)
		abort();
}

static void check_reply(struct span in)
{
	struct dnsmsg_reply p, again;
	ssize_t n = dnsmsg_reply_decode(&p, in);
	uint8_t b[2048];
	struct wr w = wr_of(b, sizeof(b));

	if (n == 0 || n > (ssize_t)in.n || (n > 0 && p.n > DNSMSG_IPS_MAX))
		abort();
	if (n < 0 || p.name[0] == 0 || (p.type != DNSMSG_A && p.type != DNSMSG_AAAA))
		return;
	struct dnsmsg_query q = {.id = p.id, .type = p.type, .class = DNSMSG_IN};
	struct dnsmsg_answer a = {.rcode = p.rcode, .ttl = p.ttl, .ips = p.ips, .n = p.n};
	size_t fitting = 0;

	memcpy(q.name, p.name, sizeof(q.name));
	for (size_t i = 0; i < p.n; i++)
		fitting += p.ips[i].family == (p.type == DNSMSG_A ? 4 : 6);
	if (dnsmsg_answer_encode(&w, &q, &a) != 0 ||
	    dnsmsg_reply_decode(&again, span_of(b, w.n)) != (ssize_t)w.n || again.n != fitting ||
	    again.rcode != p.rcode || (fitting && again.ttl != p.ttl) ||
	    strcmp(again.name, p.name) != 0)
		abort();
	a.n = 0; /* nothing, and the zone that says so */
	a.zone = strchr(q.name, '.') ? strchr(q.name, '.') + 1 : q.name;
	w = wr_of(b, sizeof(b));
	if (dnsmsg_answer_encode(&w, &q, &a) != 0 || w.bad ||
	    dnsmsg_reply_decode(&again, span_of(b, w.n)) <= 0 || again.n != 0)
		abort();
	a.n = p.n;
	a.zone = NULL;
	/* little room: never more than was given, and still a message */
	w = wr_of(b, DNSMSG_QUERY_MAX + 20);
	if (dnsmsg_answer_encode(&w, &q, &a) != 0 || w.bad ||
	    dnsmsg_reply_decode(&again, span_of(b, w.n)) != (ssize_t)w.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_query(span_of(data, size));
	check_reply(span_of(data, size));
	return 0;
}
