/*
 * The links of a web page that lead to other pages of the same site, as somebody finds
 * them who is content with most: href="/..." and href="https://HOST/...", paths without
 * a dot, which are pages mostly and seldom pictures.
 */
#ifndef GARENNE_PROTO_WEBLINKS_H
#define GARENNE_PROTO_WEBLINKS_H

#include "base/span.h"

enum { WEBLINK_MAX = 255 };

/** Takes @html up to behind the next such link, whose path comes out in *@path: WEBLINK_MAX
 * bytes at most, printable ASCII, beginning with "/". False when there is none any more. */
bool weblink_next(struct span *html, const char *host, struct span *path);

#endif
