/*
 * What a VLESS inbound does with a visitor that is not one of its users: it
 * becomes a plain forwarder to a web server, byte for byte, what was already
 * read included, so that the visitor finds what it would find there.
 */
#ifndef GARENNE_PROXY_FALLBACK_H
#define GARENNE_PROXY_FALLBACK_H

#include "flow/inbound.h"

/** The fallback for a visitor whose first bytes are @first; NULL when none fits. By server name
 * (exact, else the longest configured one inside it, else ""), ALPN and path, as Xray does. */
const struct conf_fallback *fallback_choose(const struct conf_in_vless *conf, const char *sni,
					    const char *alpn, struct span first);
/** Takes @s and @early. Forwards until both are done. */
void fallback_start(struct inbound *in, const struct conf_fallback *fb, struct stream *s,
		    struct bufq *early, const struct ipport *source, const struct ipport *local);

#endif
