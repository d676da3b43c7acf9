/*
 * What happens to a REALITY connection that has reached the real site instead of
 * our server: nothing of ours may be sent, but a handshake after which nothing
 * follows would be conspicuous. So the site is visited as a browser would do it.
 *
 *   HTTP/2    a page, known from an earlier visit or that of the settings; its links are
 *             noted, and then some workers get pages one after the other, each with
 *             the last one as Referer, as the knobs in spiderX say
 *   HTTP/1.1  one page
 *
 * SPIDER_READ_MAX bytes of a page are looked through. The connection stays until the
 * site closes it or SPIDER_LIFE_MS have passed since the last request.
 */
#ifndef GARENNE_NET_SPIDER_H
#define GARENNE_NET_SPIDER_H

#include "conf/reality.h"
#include "net/stream.h"

enum {
	SPIDER_READ_MAX = 65536,
	SPIDER_LIFE_MS = 60000,
	SPIDER_WORKERS_MAX = CONF_SPIDER_WORKERS_MAX,
};

struct spider_web;

struct spider_visit {
	const struct conf_spider *conf;
	const char *host;
	const char *profile; /* the browser: name of a fingerprint */
	const char *alpn;    /* what was agreed on */
	struct spider_web *web;
};

/** Takes @s, which belongs to its loop from then on. Borrows @v for the call. */
void spider_start(struct stream *s, const struct spider_visit *v);

#endif
