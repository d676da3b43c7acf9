/*
 * IP packets as they come from and go to a TUN device: IPv4 (RFC 791) with its options skipped,
 * IPv6 (RFC 8200) with its extension headers walked, and UDP (RFC 768).
 */
#ifndef GARENNE_PROTO_IPPKT_H
#define GARENNE_PROTO_IPPKT_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/span.h"

enum {
	IPPKT_ICMP = 1,
	IPPKT_TCP = 6,
	IPPKT_UDP = 17,
	IPPKT_ICMP6 = 58,

	IPPKT_V4_HEAD = 20,
	IPPKT_V6_HEAD = 40,
	IPPKT_UDP_HEAD = 8,
	IPPKT_V6_FRAG_HEAD = 8,
	IPPKT_HEAD_MAX = IPPKT_V6_HEAD + IPPKT_V6_FRAG_HEAD, /* of what is built here */
	IPPKT_TTL = 64,
	IPPKT_EXT_MAX = 8, /* extension headers before the packet is called malformed */
};

struct ippkt {
	struct ip src, dst;
	uint8_t proto;	/* of what follows the headers: IPPKT_* or another */
	uint8_t ttl;
	uint8_t tos;
	bool fragment;	/* part of a packet: then @off is where its part begins */
	bool more;	/* and others follow */
	bool dont_fragment;
	uint16_t frag_off; /* bytes, from the beginning of the whole packet's payload */
	uint32_t frag_id;
	uint32_t off;	/* where the payload (TCP, UDP, ...) begins */
	uint32_t total; /* bytes of the packet; what is behind them is padding */
};

/**
 * The headers of the one packet that @in holds whole. Consumes @out->total bytes. -ERR_MALFORMED:
 * cut short, lengths that contradict each other, or addresses that no packet may have (a source
 * that is nobody or a group, IPv4-mapped IPv6). Sums are not looked at.
 */
ssize_t ippkt_decode(struct ippkt *out, struct span in);

/** True when the sum of an IPv4 header in @in is right; @in begins with that header. */
bool ippkt_head_sum_ok(struct span in);

/**
 * The IP header of a packet with @payload bytes behind it, and the fragment header of an IPv6
 * fragment. Uses @p's src, dst, proto, ttl (0: the default), tos, and the fragment fields.
 * 0, or -ERR_LIMIT: no room, or too long for IP.
 */
int ippkt_encode_head(struct wr *out, const struct ippkt *p, size_t payload);
/** Bytes that ippkt_encode_head writes. */
size_t ippkt_head_len(const struct ippkt *p);

struct udp_head {
	uint16_t sport, dport;
	uint16_t len; /* of the datagram with this header */
};

/** Consumes 8. -ERR_MALFORMED: cut short, or a length that is not that of @in, which is the whole
 * datagram. */
ssize_t udp_head_decode(struct udp_head *out, struct span in);
/** True when the sum of the datagram @udp, header included, is right, or none was sent (IPv4). */
bool udp_sum_ok(const struct ippkt *ip, struct span udp);
/** A header with the sum as given. 0 or -ERR_LIMIT. */
int udp_head_encode(struct wr *out, const struct udp_head *h, uint16_t sum);
/** The field for a datagram of @head and @payload; never 0, which would mean none. */
uint16_t udp_sum(const struct ip *src, const struct ip *dst, const struct udp_head *head,
		 struct span payload);

/** A group of hosts, or all of them: nobody a connection could be made with. */
bool ip_is_group(const struct ip *ip);

#endif
