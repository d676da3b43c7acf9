/*
 * What a node that is to join says to a hub, and the hub's one answer, on a stream of their own.
 *
 *     request  "GJR" u8 1 | u8 verb | 16 bytes ticket's name | 32 bytes claim
 *     answer   "GJA" u8 1 | u8 status | u64 when | address (joinwire.h) | u32 n | n bytes
 *
 * Only JOINMSG_SERVED has bytes: a ticket's, sealed (jointicket.h). @when is the time of the use
 * for JOINMSG_USED, of the end for JOINMSG_EXPIRED, in seconds since 1970, else 0.
 */
#ifndef GARENNE_PROTO_JOINMSG_H
#define GARENNE_PROTO_JOINMSG_H

#include "proto/jointicket.h"

enum {
	JOINMSG_REQUEST_LEN = 4 + 1 + JOINTICKET_ID + JOINTICKET_CLAIM,
	JOINMSG_ANSWER_HEAD = 4 + 1 + 8 + 17 + 4, /* in front of the bytes */
};

enum joinmsg_verb {
	JOINMSG_FETCH = 1,
	JOINMSG_SPEND, /* this run of join has the file: serve it to nobody any more */
};

enum joinmsg_status {
	JOINMSG_SERVED = 1,
	JOINMSG_SPENT,	 /* done as asked */
	JOINMSG_USED,	 /* by somebody else */
	JOINMSG_EXPIRED,
	JOINMSG_UNKNOWN, /* no such ticket */
	JOINMSG_TROUBLE, /* the hub cannot; its log says why */
};

struct joinmsg_request {
	enum joinmsg_verb verb;
	uint8_t id[JOINTICKET_ID];
	uint8_t claim[JOINTICKET_CLAIM]; /* secret */
};

struct joinmsg_answer {
	enum joinmsg_status status;
	uint64_t when_s;
	struct ip from;
	struct span sealed;
};

/** Bytes consumed, 0 when more are needed, -ERR_UNSUPPORTED for another version or verb,
 * -ERR_MALFORMED. */
ssize_t joinmsg_request_decode(struct joinmsg_request *out, struct span in);
/** 0 or -ERR_LIMIT. */
int joinmsg_request_encode(struct wr *out, const struct joinmsg_request *in);
/** The same; @out borrows from @in. */
ssize_t joinmsg_answer_decode(struct joinmsg_answer *out, struct span in);
/** All but the bytes of @in->sealed, which follow. 0, -ERR_LIMIT or -ERR_MALFORMED. */
int joinmsg_answer_encode(struct wr *out, const struct joinmsg_answer *in);

#endif
