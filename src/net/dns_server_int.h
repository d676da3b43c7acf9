/* What the parts of dns_server share. Private to dns_server.c and dns_line.c. */
#ifndef GARENNE_NET_DNS_SERVER_INT_H
#define GARENNE_NET_DNS_SERVER_INT_H

#include "net/dns_server.h"
#include "net/udp_sock.h"
#include "proto/dnsmsg.h"

enum { DNS_TRIES = 2 };

struct dns_line;

/* One name and one type. */
struct dns_lookup {
	struct list node; /* of the server: all that are under way */
	struct list wait; /* of the line: not sent yet */
	struct dns_asked *asked;
	struct timer timer;
	uint16_t id, type;
	uint8_t tries;
	bool over_line;	 /* by a stream, not by UDP */
	bool accepted;	 /* HTTP/2: the status said so */
	uint32_t stream; /* HTTP/2: where it was sent; 0: not */
	uint64_t caps;	 /* one bit per letter of the name, from its begin */
	struct bufq body; /* HTTP/2 */
};

struct dns_asked {
	struct dns_question *q;
	struct dns_server *s;
	unsigned n, left;
	struct dns_lookup lookups[2];
	struct dns_answer got[2];
	struct garbage garbage;
	char name[];
};

struct dns_server {
	struct dns_server_terms t;
	struct list lookups;
	size_t n_lookups;
	struct dgram *udp; /* NULL: opened when it is needed */
	struct dgram_user on_udp;
	unsigned udp_sent;
	struct dns_line *line; /* NULL until it is needed */
	bool closing;
};

/** The query of @k into @out; 0 or -ERR_*. */
int dns_lookup_encode(const struct dns_lookup *k, struct wr *out);
/** @k is over. It is gone. */
void dns_lookup_fail(struct dns_lookup *k, enum dns_status status);
/** Its way is gone: another try, or it fails. */
void dns_lookup_lost(struct dns_lookup *k);
/** A message came: for @k, or (NULL) for whom it fits. */
void dns_server_heard(struct dns_server *s, struct dns_lookup *k, struct span msg);

/* ---- dns_line.c: a connection to the server, opened when it is needed ---- */

struct dns_line *dns_line_new(struct dns_server *s);
/** Takes NULL too. Lookups are left alone. */
void dns_line_free(struct dns_line *l);
/** Sends the query of @k now, or as soon as there is a connection. */
void dns_line_send(struct dns_line *l, struct dns_lookup *k);
/** @k is over. */
void dns_line_drop(struct dns_line *l, struct dns_lookup *k);
/** Something that was asked got no answer: the connection may be dead. */
void dns_line_silent(struct dns_line *l);

#endif
