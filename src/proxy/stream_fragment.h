/*
 * Cutting what a client says first into pieces, so that a filter that looks at
 * single packets or records does not see a name in one of them (freedom's
 * `fragment`).
 *
 *   tlshello  the first write, if it is one whole TLS handshake record: its body
 *             is cut and each piece becomes a record of its own; with an
 *             interval each record is sent alone, without all go in one write
 *   a-b       the writes number a to b: each piece is sent alone
 *
 * After its last cut the layer can be unwrapped.
 */
#ifndef GARENNE_PROXY_STREAM_FRAGMENT_H
#define GARENNE_PROXY_STREAM_FRAGMENT_H

#include "conf/outbound.h"
#include "net/stream.h"

/** Takes @below, borrows @conf. Gives; @below itself when memory is out or there is nothing to
 * cut. */
struct stream *stream_fragment_new(struct stream *below, const struct conf_fragment *conf);

#endif
