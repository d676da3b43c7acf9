/* The TLS ends that an audit needs: a client of the hub, a bare server to compare the hub with, and
 * the way to a fallback. */
#ifndef GARENNE_APP_AUDIT_TLS_H
#define GARENNE_APP_AUDIT_TLS_H

#include "app/reply.h"
#include "conf/inbound.h"

enum { AUDIT_ALPN_MAX = 16 };

/** A handshake for @name offering @alpn (length and name, "" for none), @say, and the answer. *@got
 * gets what was agreed on. @r->unreachable when there was no handshake. */
void audit_ask_tls(const struct ipport *to, const char *name, const char *alpn, struct span say,
		   const struct patience *p, struct reply *r, char got[AUDIT_ALPN_MAX]);

struct audit_server;

/** A server with the certificate and protocols of @t (borrowed). Gives, or NULL. */
struct audit_server *audit_server_new(const struct conf_tls *t);
void audit_server_free(struct audit_server *s);
/** A connection to it, whose descriptor is the caller's; -1 when it cannot be. One at a time. */
int audit_server_visit(struct audit_server *s);
/** After the visitor closed his end. */
void audit_server_leave(struct audit_server *s);

/** A connection to a fallback, with the header of PROXY that it wants; -1 when it cannot be. */
int audit_dial_fallback(const struct conf_fallback *f, unsigned ms);

#endif
