/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and errors about a packet. Messages are the payload
 * of an IP packet; one of ICMPv6 has a sum that covers the addresses.
 */
#ifndef GARENNE_PROTO_ICMPMSG_H
#define GARENNE_PROTO_ICMPMSG_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/span.h"

enum icmpmsg_error {
	ICMPMSG_NET_UNREACH = 0,
	ICMPMSG_HOST_UNREACH,
	ICMPMSG_PORT_UNREACH,
	ICMPMSG_PROHIBITED,
	ICMPMSG_TOO_BIG, /* with the MTU */
	ICMPMSG_TIME_EXCEEDED,
};

enum {
	ICMPMSG_HEAD = 8,
	/* What an error quotes of the packet: whole errors fit the smallest MTU (RFC 1812,
	 * 4.3.2.3; RFC 4443, 2.4). */
	ICMPMSG_QUOTE_V4 = 576 - 20 - 8,
	ICMPMSG_QUOTE_V6 = 1280 - 40 - 8,
};

struct icmpmsg_echo {
	bool reply;
	uint16_t id, seq;
};

/* An error, and the packet of ours that it is about. */
struct icmpmsg_quote {
	uint8_t type, code;
	enum icmpmsg_error what;
	uint32_t rest;	    /* bytes 4..7 of the message */
	uint32_t mtu;	    /* of ICMPMSG_TOO_BIG; 0: not said */
	struct ip src, dst; /* of the packet */
	uint8_t proto;	    /* IPPKT_* */
	uint16_t word[4];   /* the first bytes behind its IP header: ports, or what else is there */
};

/** The error in the message @in of family 4 or 6. Consumes 8; -ERR_UNSUPPORTED: another message, or
 * about a packet that is none of TCP, UDP and echo, or no first fragment; -ERR_MALFORMED: cut
 * short. Whether that packet was ever sent is not known here. */
ssize_t icmpmsg_quote_decode(struct icmpmsg_quote *out, uint8_t family, struct span in);
/** The head of an echo message of family 4 or 6; what follows it is the payload. Consumes 8, or
 * -ERR_UNSUPPORTED: another kind of message, -ERR_MALFORMED: cut short. */
ssize_t icmpmsg_echo_decode(struct icmpmsg_echo *out, uint8_t family, struct span in);
/** True when the sum of the message @in is right. */
bool icmpmsg_sum_ok(const struct ip *src, const struct ip *dst, struct span in);
/** An echo message with its payload and sum. 0 or -ERR_LIMIT. */
int icmpmsg_echo_encode(struct wr *out, const struct ip *src, const struct ip *dst,
			const struct icmpmsg_echo *e, struct span payload);
/** An error about @packet, which begins with its IP header; as much of it is quoted as may be.
 * @mtu for ICMPMSG_TOO_BIG. 0 or -ERR_LIMIT. */
int icmpmsg_error_encode(struct wr *out, const struct ip *src, const struct ip *dst,
			 enum icmpmsg_error what, uint32_t mtu, struct span packet);
/** Any message of the given numbers; @rest are bytes 4..7. 0 or -ERR_LIMIT. */
int icmpmsg_encode(struct wr *out, const struct ip *src, const struct ip *dst, uint8_t type,
		   uint8_t code, uint32_t rest, struct span body);

#endif
