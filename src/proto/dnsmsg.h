/*
 * DNS messages (RFC 1035, RFC 3596), as far as a forwarder needs them: one question,
 * addresses in the answer. Messages are whole datagrams, or what stands behind the two
 * length bytes of a TCP stream, so nothing here asks for more bytes.
 *
 *     u16 id | u16 flags | u16 questions, answers, authorities, additional
 *     question: name | u16 type | u16 class
 *     answer:   name | u16 type | u16 class | u32 ttl | u16 length | data
 *
 * Names are text without a final dot ("." is the root), spelt as received: some
 * clients put random capitals in and expect them back. A label with bytes that are not
 * printable ASCII, or with a dot or backslash, is refused.
 */
#ifndef GARENNE_PROTO_DNSMSG_H
#define GARENNE_PROTO_DNSMSG_H

#include <sys/types.h>

#include "base/addr.h"

enum {
	DNSMSG_NAME_MAX = 253, /* characters */
	DNSMSG_HEAD = 12,
	DNSMSG_UDP_MAX = 512, /* of a datagram to somebody who did not ask for more */
	DNSMSG_QUERY_MAX = DNSMSG_HEAD + DNSMSG_NAME_MAX + 2 + 4,
	DNSMSG_IPS_MAX = 32, /* addresses that are kept of an answer */
	DNSMSG_ARPA_TEXT = 80, /* the name of an address, with its final zero */
	/* Of a client's address a server is told as much as Xray tells: RFC 7871 advises 24 and 56. */
	DNSMSG_SUBNET4 = 24,
	DNSMSG_SUBNET6 = 96,
	DNSMSG_PAD = 128, /* RFC 8467: queries on encrypted ways are a multiple of this long */
	DNSMSG_EDNS_UDP = 1232, /* of an answer that cannot be cut on the way */
	DNSMSG_EDNS_QUERY_MAX = DNSMSG_QUERY_MAX + 11 + 24 + DNSMSG_PAD,
};

enum dnsmsg_type {
	DNSMSG_A = 1,
	DNSMSG_CNAME = 5,
	DNSMSG_SOA = 6,
	DNSMSG_PTR = 12,
	DNSMSG_AAAA = 28,
};

enum { DNSMSG_IN = 1 }; /* the only class in use */

enum dnsmsg_rcode {
	DNSMSG_NOERROR = 0,
	DNSMSG_FORMERR = 1,
	DNSMSG_SERVFAIL = 2,
	DNSMSG_NXDOMAIN = 3,
	DNSMSG_NOTIMP = 4,
	DNSMSG_REFUSED = 5,
};

struct dnsmsg_query {
	uint16_t id;
	bool recurse; /* recursion desired */
	uint16_t type, class;
	char name[DNSMSG_NAME_MAX + 1];
};

/* What a query says beside its question (RFC 6891). */
struct dnsmsg_edns {
	struct ip client; /* its network is told (RFC 7871); family 0: none */
	bool pad;	  /* RFC 7830 */
};

struct dnsmsg_answer {
	uint8_t rcode;	      /* 0..15 */
	uint32_t ttl;	      /* seconds, of every address */
	const struct ip *ips; /* those of the other family than asked for are left out */
	size_t n;
	/* Not NULL: without an answer the end of the question's name that we speak for; says so by an
	 * SOA record whose ttl is how long to remember that there is nothing (RFC 2308). */
	const char *zone;
};

struct dnsmsg_reply {
	uint16_t id;
	uint8_t rcode;
	bool truncated; /* ask again over TCP */
	uint16_t type;	/* of the question; 0 with an empty name when it was not repeated */
	uint32_t ttl;	/* seconds: the least of the addresses and aliases; 0 if none */
	uint8_t n;
	struct ip ips[DNSMSG_IPS_MAX];
	char name[DNSMSG_NAME_MAX + 1];
};

/** Consumed: up to the end of the question; what follows (EDNS) is not looked at. -ERR_MALFORMED,
 * or -ERR_UNSUPPORTED: another operation than a query, not exactly one question. */
ssize_t dnsmsg_query_decode(struct dnsmsg_query *out, struct span in);
/** 0, -ERR_LIMIT, or -ERR_MALFORMED for a name that is none. */
int dnsmsg_query_encode(struct wr *out, const struct dnsmsg_query *in);

/** The same with an OPT record: @edns and DNSMSG_EDNS_UDP. */
int dnsmsg_query_edns_encode(struct wr *out, const struct dnsmsg_query *in,
			     const struct dnsmsg_edns *edns);

/**
 * The answer to @query: its id and question, authoritative, recursion available. Without
 * addresses it is an error or the empty answer. Addresses beyond the room are left out and
 * the answer marked as truncated: give it DNSMSG_UDP_MAX bytes for a datagram. Errors as above.
 */
int dnsmsg_answer_encode(struct wr *out, const struct dnsmsg_query *query,
			 const struct dnsmsg_answer *in);

/** The answer to a PTR @query: @host, valid for @ttl seconds. Errors as above. */
int dnsmsg_ptr_encode(struct wr *out, const struct dnsmsg_query *query, const char *host,
		      uint32_t ttl);
/** The address whose name is asked for by "4.3.2.1.in-addr.arpa" (RFC 1035) or 32 nibbles below
 * ip6.arpa (RFC 3596); false for anything else, and @out untouched. */
bool dnsmsg_arpa_decode(struct ip *out, const char *name);
/** The zones that hold the names of the addresses of @p: one, or as many as it takes to fill up to
 * the next label. The one of number @i into @out; false when there are no more. */
bool dnsmsg_arpa_zone(char out[DNSMSG_ARPA_TEXT], const struct prefix *p, unsigned i);

/** Consumed: up to the end of the answers. -ERR_MALFORMED, or -ERR_UNSUPPORTED for another
 * operation or more than one question. The caller compares id, name and type with its query. */
ssize_t dnsmsg_reply_decode(struct dnsmsg_reply *out, struct span in);

#endif
