/*
 * Whatever begins flows by listening. The common part opens the listeners of
 * the configuration, spreads accepted connections over the loops, lets
 * transport do its handshake (PROXY header, TLS) and hands the ready stream to
 * the protocol. Protocols that live on UDP open their own sockets in start().
 */
#ifndef GARENNE_FLOW_INBOUND_H
#define GARENNE_FLOW_INBOUND_H

#include <cjson/cJSON.h>

#include "conf/inbound.h"
#include "flow/core.h"
#include "net/stream.h"

struct inbound;
struct inbound_listener;
struct renewal;
struct transport_server;

/* What is known of a connection when the protocol gets it. */
struct conn_info {
	struct ipport source; /* as accepted, or as a PROXY header said; family 0: unix socket */
	struct ipport local;
	struct ipport original; /* before redirection by the firewall; family 0: none */
	const char *sni;	/* lower case; "" without TLS. Valid during the call */
	const char *alpn;	/* "" when none was agreed */
	unsigned tls_version;	/* 0x0304 for TLS 1.3; 0 without TLS */
};

struct inbound_ops {
	const char *protocol;
	/* Takes @s, on the loop of @s. */
	void (*serve)(struct inbound *in, struct stream *s, const struct conn_info *info);
	/* Optional: opens UDP sockets and the like before the loops run. 0, or -ERR_* with a line
	 * logged. */
	int (*start)(struct inbound *in);
	/* Optional: no new flows from now on. */
	void (*stop)(struct inbound *in);
	/* Optional: what it takes over of @next, which differs from in->conf in what
	 * conf/shape.h leaves free and outlives @in. Gives; NULL when memory is out. */
	struct renewal *(*renewal)(struct inbound *in, const struct conf_inbound *next);
	/* The loops are not running any more. */
	void (*free)(struct inbound *in);
};

struct inbound {
	const struct inbound_ops *ops;
	const struct conf_inbound *conf;
	struct core *core;
	const char *tag;
	struct transport_server *transport;
	struct inbound_listener **listeners;
	size_t n_listeners;
};

/** Builds the transport (certificates are read). 0, or -ERR_* with a line logged. */
int inbound_prepare(struct inbound *in);
/** Opens all listeners of @in->conf. 0, or -ERR_* with a line logged; then nothing is open. */
int inbound_start(struct inbound *in);
/** Where it listens, as members of @into. From any thread while it is started. */
void inbound_describe(const struct inbound *in, cJSON *into);
/** Closes the listeners; flows go on. */
void inbound_stop(struct inbound *in);
/** inbound_stop, then ops->free. Takes NULL too. */
void inbound_free(struct inbound *in);
/** A flow that came in by @in with the common fields filled; NULL when memory is out. */
struct flow *inbound_flow(struct inbound *in, struct loop *l, unsigned net,
			  const struct conn_info *info);

#endif
