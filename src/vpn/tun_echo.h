/*
 * Ping on the device. An echo request is a datagram of a flow to port 0 of its destination
 * (proto/echo.h); what comes back is sent as it came: a reply, or the error of a router on the way.
 * Nothing comes back: nothing is sent. Only if the configuration says so, requests are answered
 * here.
 */
#ifndef GARENNE_VPN_TUN_ECHO_H
#define GARENNE_VPN_TUN_ECHO_H

#include "conf/tun.h"
#include "flow/inbound.h"
#include "net/dgram.h"
#include "proto/ippkt.h"
#include "vpn/pktlink.h"

enum { TUN_ECHO_ASSOCS = 2048 };

struct icmpmsg_quote;
struct tun_echo;

/** Borrows all. Gives, or NULL. */
struct tun_echo *tun_echo_new(struct loop *l, struct pktlink *link, const struct conf_in_tun *conf);
/** Takes NULL too; associations must be closed. */
void tun_echo_free(struct tun_echo *e);
void tun_echo_listen(struct tun_echo *e, struct inbound *in);
/** A packet of ICMP or ICMPv6, whole; takes @pkt. Its sum is looked at. */
void tun_echo_input(struct tun_echo *e, const struct ippkt *ip, struct buf *pkt);
/** An error that @from has sent about an echo request of the outbound. */
void tun_echo_error(struct tun_echo *e, const struct ip *from, const struct icmpmsg_quote *q);
/** Asks in the name of @from: datagrams of proto/echo.h go in and out. Gives, or NULL. */
struct dgram *tun_echo_open(struct tun_echo *e, const struct ip *from, const struct ip *target);

#endif
