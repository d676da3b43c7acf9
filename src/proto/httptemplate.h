/*
 * Values of HTTP header fields with placeholders, as Xray's http outbound has them
 * (Go's text/template over two destinations):
 *
 *     {{.Source}}   tcp:192.0.2.1:50000        {{.Target}}   tcp:example.com:443
 *
 * and of both .Network (TCP), .Address (an IPv6 address in brackets), .Port and .NetAddr
 * (address and port). Blanks inside of the braces do not count; other actions of Go's
 * templates are not understood.
 */
#ifndef GARENNE_PROTO_HTTPTEMPLATE_H
#define GARENNE_PROTO_HTTPTEMPLATE_H

#include "base/addr.h"
#include "base/span.h"

struct httptemplate {
	struct addr source, target; /* ADDR_NONE: not known */
	bool udp;
};

/** True when there is anything to replace in @text. */
bool httptemplate_is(struct span text);
/** @text with its placeholders replaced. 0, -ERR_MALFORMED for an action that is not understood, or
 * -ERR_LIMIT. */
int httptemplate_fill(struct wr *out, struct span text, const struct httptemplate *t);

#endif
