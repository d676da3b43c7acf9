/*
 * One question to one hub about a ticket (proto/joinmsg.h), through an ordinary
 * outbound made for it: whoever watches sees what every node's connection looks
 * like.
 */
#ifndef GARENNE_APP_JOINER_H
#define GARENNE_APP_JOINER_H

#include "proto/joinmsg.h"
#include "proto/jointoken.h"

enum { JOINER_WHY_MAX = 256 };

struct joiner_reply {
	bool answered;
	struct joinmsg_answer answer; /* borrows from @bytes */
	char why[JOINER_WHY_MAX]; /* when not answered */
	uint8_t *bytes;
};

/** Blocks until there is an answer or none can be expected any more, @ms at most. Free with
 * joiner_reply_fini in every case. */
void joiner_ask(const struct jointoken_hub *hub, const struct joinmsg_request *q, uint32_t ms,
		struct joiner_reply *out);
void joiner_reply_fini(struct joiner_reply *r);

#endif
