/*
 * One HTTP/1.1 exchange on a stream that is ready: the request goes out as it was
 * given, the answer comes back whole. Bounded in size and time; answers 1xx are
 * passed over. The stream is given back when it may carry another request.
 */
#ifndef GARENNE_NET_HTTP_CALL_H
#define GARENNE_NET_HTTP_CALL_H

#include "base/span.h"
#include "net/stream.h"

struct http_call;

struct http_answer {
	int err;	 /* 0, -ERR_TIMEOUT, -ERR_MALFORMED, -ERR_LIMIT, -ERR_RESET ... */
	unsigned status; /* 200 ... 999, when @err is 0 */
	struct span fields; /* of the head (proto/http.h) */
	struct span body;
	const char *why; /* on failure, or NULL */
};

struct http_call_user {
	/* From the loop, once; the call is over. Gives @s, idle, if another request may follow on it,
	 * else NULL: it has been closed. Borrows @a. */
	void (*on_done)(struct http_call_user *u, struct stream *s, const struct http_answer *a);
};

/** Takes @s, on its loop, and copies @request. Bodies above @body_max are refused. Gives; NULL when
 * memory is out (@s is closed, no call). */
struct http_call *http_call_start(struct stream *s, struct span request, size_t body_max,
				  uint32_t timeout_ms, struct http_call_user *user);
/** Closes the stream; nothing comes any more. */
void http_call_cancel(struct http_call *c);

#endif
