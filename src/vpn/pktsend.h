/*
 * Small packets that are built here from nothing: resets, and ICMP errors at a bounded rate.
 */
#ifndef GARENNE_VPN_PKTSEND_H
#define GARENNE_VPN_PKTSEND_H

#include "base/addr.h"
#include "proto/icmpmsg.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/pktlink.h"

/* ICMP errors: so many per second, as a router would (RFC 1812, 4.3.2.8). */
enum { ERROR_GATE_PER_S = 1000 };

struct error_gate {
	uint64_t second;
	unsigned sent;
};

/** A bare segment. */
void pktsend_tcp(struct pktlink *l, const struct ip *src, const struct ip *dst,
		 const struct tcpseg *t);
/** An error about @packet, unless it is one itself, or a group was meant. */
void pktsend_error(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		   const struct ip *dst, enum icmpmsg_error what, uint32_t mtu, struct span packet);
/** An error about a packet whose heads @heads are all that is left. */
void pktsend_bounce(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		    const struct ip *dst, enum icmpmsg_error what, struct span heads);
/** A packet whose payload is @head_of_payload (at most 8 bytes) and then @rest, in fragments where
 * it is longer than @mtu; @ip's frag_id is used then. Sums are done. */
void pktsend_long(struct pktlink *l, size_t mtu, const struct ippkt *ip, struct span head_of_payload,
		  struct span rest);
/** An ICMP message with the numbers as given, about @packet. */
void pktsend_icmp(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		  const struct ip *dst, uint8_t type, uint8_t code, uint32_t rest,
		  struct span packet);

#endif
