/*
 * One TUN device with all that lives on it: the inbound "tun" takes flows from it, the outbound
 * "tun" delivers flows into it. Both share this object; it belongs to one loop, and packets are
 * told apart here.
 */
#ifndef GARENNE_VPN_TUN_H
#define GARENNE_VPN_TUN_H

#include "conf/tun.h"
#include "flow/core.h"
#include "vpn/tcp_stack.h"

struct tun;

/** The device of @c, not opened before tun_open. Gives a reference; NULL when memory is out. */
struct tun *tun_ref(struct core *c);
/** Takes NULL too. The last one closes the device. */
void tun_unref(struct tun *t);
/** Opens the device. 0, or -ERR_SYS with a line logged. */
int tun_open(struct tun *t, const struct conf_in_tun *conf);
/** Reads packets from now on: the loop runs, or will. */
void tun_start(struct tun *t);
/** No packets are read any more. */
void tun_stop(struct tun *t);
struct loop *tun_loop(const struct tun *t);
/** NULL before tun_open. */
struct tcp_stack *tun_tcp(const struct tun *t);

#endif
