/*
 * The TCP header (RFC 9293, 3.1) and the options of a SYN, checked before anything else looks at
 * them; and the two segments without a connection: a refusal and a repeated acknowledgement.
 */
#ifndef GARENNE_PROTO_TCPSEG_H
#define GARENNE_PROTO_TCPSEG_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/span.h"

enum {
	TCPSEG_FIN = 1,
	TCPSEG_SYN = 2,
	TCPSEG_RST = 4,
	TCPSEG_PSH = 8,
	TCPSEG_ACK = 16,

	TCPSEG_HEAD = 20,
	TCPSEG_HEAD_MAX = 60,
};

struct tcpseg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags; /* the low six bits */
	uint8_t head;  /* bytes of the header, options included */
	uint16_t wnd;
	uint16_t mss; /* option, 0: none */
	bool scales;  /* window scale option */
};

/** Consumes the header (20..60 bytes) of the segment @in. -ERR_MALFORMED: cut short, or options
 * that run over its end. The sum is not looked at. */
ssize_t tcpseg_decode(struct tcpseg *out, struct span in);

/** True when the sum of the segment @in, header included, is right. */
bool tcpseg_sum_ok(const struct ip *src, const struct ip *dst, struct span in);

/** A header without options, from @src to @dst, with nothing behind it; its sum is right. 0 or
 * -ERR_LIMIT. Uses ports, seq, ack, flags, wnd. */
int tcpseg_encode(struct wr *out, const struct ip *src, const struct ip *dst,
		  const struct tcpseg *s);

/** The answer to the segment @in with @payload bytes that belongs to no connection: a reset that
 * its sender believes (RFC 9293, 3.10.7.1). False when @in is a reset itself. */
bool tcpseg_refusal(struct tcpseg *out, const struct tcpseg *in, size_t payload);

#endif
