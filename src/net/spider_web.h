/*
 * The pages of a site that visitors of ours have seen links to, so that the next visit
 * begins somewhere else: a set of paths for one host, bounded, shared by all threads.
 * Private to net.
 */
#ifndef GARENNE_NET_SPIDER_WEB_H
#define GARENNE_NET_SPIDER_WEB_H

#include "base/span.h"

enum { SPIDER_WEB_MAX = 64 }; /* pages; more are not remembered */

struct spider_web;

/** Gives one reference, or NULL when memory is out. */
struct spider_web *spider_web_new(void);
struct spider_web *spider_web_ref(struct spider_web *w);
/** Takes NULL too. */
void spider_web_unref(struct spider_web *w);
/** Remembers @path of @host; another host's are forgotten. */
void spider_web_add(struct spider_web *w, const char *host, struct span path);
/** One of what is known of @host and @start, by lot. Gives, free() it; NULL when memory is out. */
char *spider_web_pick(struct spider_web *w, const char *host, const char *start);

#endif
