/*
 * What happens to a REALITY connection that has reached the real site instead of
 * our server: nothing of ours may be sent, but a handshake after which nothing
 * follows would be conspicuous. So the site is visited as a browser would do it:
 * one GET over HTTP/2 or HTTP/1.1, up to SPIDER_READ_MAX bytes of answer, and the
 * connection stays until the site closes it or SPIDER_LIFE_MS have passed.
 */
#ifndef GARENNE_NET_SPIDER_H
#define GARENNE_NET_SPIDER_H

#include "conf/reality.h"
#include "net/stream.h"

enum {
	SPIDER_READ_MAX = 65536,
	SPIDER_LIFE_MS = 60000,
};

struct spider_visit {
	const struct conf_spider *conf;
	const char *host;
	const char *profile; /* the browser: name of a fingerprint */
	const char *alpn;    /* what was agreed on */
};

/** Takes @s, which belongs to its loop from then on. Borrows @v for the call. */
void spider_start(struct stream *s, const struct spider_visit *v);

#endif
