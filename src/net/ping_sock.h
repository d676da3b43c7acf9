/*
 * Echo requests to one host, and what really comes back: its reply, or the error of a
 * router on the way. Nothing is ever invented.
 *
 * An unprivileged ICMP socket where the system allows one to this user
 * (net.ipv4.ping_group_range), else a raw one, for which a right is needed. Either is
 * connected, so only this host's answers come in, and errors by the socket's queue.
 * Sequence numbers on the wire are ours; each request is answered at most once.
 */
#ifndef GARENNE_NET_PING_SOCK_H
#define GARENNE_NET_PING_SOCK_H

#include "base/addr.h"
#include "base/span.h"
#include "net/loop.h"
#include "net/sock.h"

enum {
	PING_PER_S = 100,     /* requests per second of one socket, and as many in one burst */
	PING_PENDING = 128,   /* requests that wait; the oldest are forgotten */
	PING_PAYLOAD_MAX = 65000,
};

struct ping_sock;

struct ping_answer {
	uint32_t cookie; /* of the request */
	bool error;
	uint8_t ttl; /* of a reply, as received; 0 unknown */
	struct span payload;
	uint8_t type, code; /* of an error */
	uint32_t info;
	struct ip from; /* who sent the reply or the error */
};

struct ping_user {
	/* Borrows @a. May free @p. */
	void (*on_answer)(struct ping_user *u, struct ping_sock *p, const struct ping_answer *a);
};

/** @local family 0: the kernel chooses. Borrows @opts for the call and @user. Gives; NULL and @why. */
struct ping_sock *ping_sock_new(struct loop *l, const struct ip *to, const struct ip *local,
				const struct conf_sockopt *opts, struct ping_user *user,
				char why[NET_WHY_MAX]);
/** Takes NULL too. */
void ping_sock_free(struct ping_sock *p);
/** Asks once. @ttl 0: the system's. What exceeds the rate, or cannot be sent, is lost, as on a
 * network. */
void ping_sock_send(struct ping_sock *p, uint32_t cookie, uint8_t ttl, struct span payload);

#endif
