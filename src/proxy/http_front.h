/*
 * A client that speaks HTTP to us as to a proxy, on its connection: reads
 * requests, asks for a password, makes flows. CONNECT turns the connection into
 * a tunnel. Any other request becomes a flow of its own, to its own target,
 * while the client's connection stays for the next one.
 */
#ifndef GARENNE_PROXY_HTTP_FRONT_H
#define GARENNE_PROXY_HTTP_FRONT_H

#include "conf/inbound.h"
#include "flow/inbound.h"
#include "proxy/intake.h"

/* The same for all connections of an inbound. */
struct http_front_conf {
	const struct conf_account *accounts; /* any: Basic authentication is asked for */
	size_t n_accounts;
	bool allow_transparent;	  /* "/path" with a Host field is proxied as well */
	bool reply_after_connect; /* the answer to CONNECT waits for the far side */
	uint32_t level;
};

/** Takes @s and the bytes in @early (NULL: none). Borrows the others as long as @in lives. */
void http_front_serve(struct inbound *in, const struct http_front_conf *conf,
		      struct intake_log *log, struct stream *s, struct bufq *early,
		      const struct conn_info *info);

#endif
