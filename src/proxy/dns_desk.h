/*
 * The desk where a flow's DNS queries are handled, one by one: dropped, answered
 * at once, answered by the built-in resolver, or forwarded to the server that
 * the flow was going to or the configuration names. How queries come and
 * answers go, as datagrams or in a stream, is its user's business.
 *
 * A forwarded query whose server cannot be reached, or that has no answer after
 * DNS_DESK_PATIENCE_MS, is answered SERVFAIL: whoever asks waits longer, and then
 * goes on to the next server of his anyway.
 *
 * Bounds: DNS_DESK_OPEN queries under way, further ones are dropped as a busy
 * server would. An answer from outside is passed on only if its id belongs to a
 * query that was forwarded and not answered.
 */
#ifndef GARENNE_PROXY_DNS_DESK_H
#define GARENNE_PROXY_DNS_DESK_H

#include "flow/core.h"
#include "flow/dialer.h"
#include "net/dgram.h"
#include "net/stream.h"
#include "proxy/dns_rules.h"
#include "proxy/dns_zone.h"

enum {
	DNS_DESK_OPEN = 32,
	DNS_DESK_PATIENCE_MS = 4000, /* less than the 5 s of common resolvers */
	DNS_DESK_QUEUE = 65536, /* bytes for a TCP server that is being dialled or slow */
};

/* The same for all flows of an outbound. */
struct dns_desk_conf {
	struct outbound *o;
	const struct conf_outbound *conf;
	const struct dns_rules *rules;
	const struct dns_zone *zone; /* NULL: the rules decide about every name */
	struct dialer *dialer;
};

struct dns_desk_user {
	/* Takes @msg, an answer to a query from @party. From the loop, or inside dns_desk_ask. */
	void (*on_answer)(struct dns_desk_user *u, const struct addr *party, struct buf *msg);
};

struct dns_question;

/* A query that was forwarded. */
struct dns_sent {
	struct dnsmsg_query *query; /* NULL: answered, or never used */
	struct addr party;
	uint64_t due_ms;
};

struct dns_desk {
	const struct dns_desk_conf *conf;
	struct dns_desk_user *user;
	struct loop *loop;
	const struct flow *f;
	bool tcp;	    /* how queries are forwarded */
	size_t answer_max;  /* bytes of an answer of our own */
	struct list asked;  /* questions at the resolver */
	size_t n_open;	    /* those and the forwarded ones */
	struct dns_sent sent[DNS_DESK_OPEN];
	unsigned next;	    /* of @sent, to be reused first */
	struct timer patience;
	struct dgram *udp;  /* made when it is needed */
	struct dgram_user on_udp;
	struct dial *dial; /* the same */
	struct dial_user on_dialed;
	struct stream *up;
	struct stream_user on_up;
	struct bufq in, out; /* of @up */
};

/** For the flow @f, which must outlive the desk. @answer_max: the longest answer that fits. */
void dns_desk_init(struct dns_desk *d, const struct dns_desk_conf *conf, const struct flow *f,
		   size_t answer_max, struct dns_desk_user *user);
/** Calls nobody any more. */
void dns_desk_fini(struct dns_desk *d);
/** Takes @msg, a whole message without length prefix, that was sent to @party (ADDR_NONE: the
 * flow's target). */
void dns_desk_ask(struct dns_desk *d, const struct addr *party, struct buf *msg);
/** Queries that wait for an answer. */
static inline size_t dns_desk_open(const struct dns_desk *d)
{
	return d->n_open;
}

#endif
