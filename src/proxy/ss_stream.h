/*
 * Shadowsocks as a layer of streams: chunks to and from the stream below. The
 * client's first write carries the request with the target, the server's first
 * the response header; both need payload to go with them, so a client that has
 * nothing to say waits a moment before its request leaves with padding alone.
 */
#ifndef GARENNE_PROXY_SS_STREAM_H
#define GARENNE_PROXY_SS_STREAM_H

#include "net/stream.h"
#include "proto/ss2022.h"
#include "proto/ssaead.h"

enum { SS_LONELY_MS = 20 };

/** Client. Takes @below; borrows @keys for the life of the stream. Gives, or NULL (@below closed). */
struct stream *ss_stream_client(struct stream *below, const struct ss_chain *keys,
				const struct addr *target, bool send_now);

/* What a server knows once the request is read. */
struct ss_served {
	const struct ss_method *method;
	struct ss_reader reader;   /* keyed, awaiting the next item; taken */
	struct ss2022_head head;   /* 2022: to be answered; its key outlives the stream */
	struct ssaead_user user;   /* classic */
};

/** Server. Takes @below, @s->reader, @plain (payload already opened) and @raw (not yet). */
struct stream *ss_stream_server(struct stream *below, struct ss_served *s, struct bufq *plain,
				struct bufq *raw);

#endif
