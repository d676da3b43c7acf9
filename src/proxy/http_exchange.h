/*
 * One request and its answer on a client's connection, as the inbound stream of
 * a flow of its own: reading gives the rewritten head and exactly the body, what
 * is written is taken for the answer and goes to the client rewritten. When both
 * are through, the stream ends in both directions, and its close gives the
 * client's connection back for the next request.
 *
 * If nothing of an answer has come when the flow ends, the client is told 503.
 */
#ifndef GARENNE_PROXY_HTTP_EXCHANGE_H
#define GARENNE_PROXY_HTTP_EXCHANGE_H

#include "net/stream.h"
#include "proto/httpproxy.h"

/* What must be known of a request. */
struct exchange_head {
	struct buf *bytes; /* the head for the origin; owned */
	struct http_body body;
	char method[HTTP_METHOD_MAX + 1]; /* decides whether the answer has a body */
	bool persists;			  /* the client wants another request */
};

struct exchange_user {
	/* The flow is over. Gives @s and the bytes read beyond the request, if another request
	 * may follow; else @s is NULL. Comes from inside the close of the exchange. */
	void (*on_exchanged)(struct exchange_user *u, struct loop *l, struct stream *s,
			     struct bufq *rest);
};

/** 0, -ERR_MALFORMED when the request cannot be passed on, or -ERR_NOMEM. */
int exchange_head_init(struct exchange_head *out, const struct http_request *req,
		       const struct http_target *target);
void exchange_head_fini(struct exchange_head *h);

/** Takes @client, the front of @rest that belongs to the request, and @head's bytes; borrows @user
 * until it is called. Gives; NULL (@client closed) when memory is out. */
struct stream *exchange_new(struct stream *client, struct bufq *rest, struct exchange_head *head,
			    struct exchange_user *user);

#endif
