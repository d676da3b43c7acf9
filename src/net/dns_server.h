/*
 * One configured name server, on one loop: over UDP (by TCP when an answer does not
 * fit), TCP or HTTPS (RFC 8484). A question is one or two lookups, A and AAAA, each
 * tried twice within timeoutMs.
 *
 * An answer counts if id, type and name are those of a lookup that is under way; over
 * UDP the name's capitals, which are drawn by lot, must be the same as well (the second
 * try is without them, for servers that do not keep them).
 *
 * Beside dns_channel, which is c-ares and asks what the system asks.
 */
#ifndef GARENNE_NET_DNS_SERVER_H
#define GARENNE_NET_DNS_SERVER_H

#include "conf/dns.h"
#include "conf/stream.h"
#include "net/dns_channel.h"
#include "net/dns_door.h"

struct dns_server;
struct resolver;
struct tls_ctx;

enum { DNS_SERVER_LOOKUPS_MAX = 2048 }; /* under way; more fail at once */

/* All borrowed. */
struct dns_server_terms {
	struct loop *loop;
	const struct conf_dns_server *conf;
	struct dns_door *door;		 /* NULL: sockets of our own */
	struct resolver *names;		 /* then: for a server that has a name */
	const struct conf_sockopt *opts; /* then: of the sockets */
	struct tls_ctx *tls;		 /* for HTTPS */
};

/** Gives; NULL when memory is out. Opens nothing yet. */
struct dns_server *dns_server_new(const struct dns_server_terms *t);
/** As dns_ask. */
void dns_server_ask(struct dns_server *s, struct dns_question *q, const char *name, bool v4, bool v6);
/** Takes NULL too. Questions under way get DNS_GONE. */
void dns_server_free(struct dns_server *s);

#endif
