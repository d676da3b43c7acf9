/*
 * The body of a page as it was sent to a browser that takes compressed ones. Fields
 * are not looked at: gzip and zstd are known by their first bytes, and what is neither
 * text nor these is tried as brotli. Private to net.
 */
#ifndef GARENNE_NET_SPIDER_PAGE_H
#define GARENNE_NET_SPIDER_PAGE_H

#include "base/span.h"

/** Unpacks as much of @in, which may end early, as @cap bytes at @out hold. Returns how many there
 * are; 0 when nothing can be made of it. */
size_t spider_page_unpack(uint8_t *out, size_t cap, struct span in);

#endif
