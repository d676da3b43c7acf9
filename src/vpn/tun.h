/*
 * One TUN device with all that lives on it: the inbound "tun" takes flows from it, the outbound
 * "tun" delivers flows into it. Both share this object; it belongs to one loop, and packets are
 * told apart here.
 */
#ifndef GARENNE_VPN_TUN_H
#define GARENNE_VPN_TUN_H

#include "flow/core.h"
#include "vpn/tcp_stack.h"

struct inbound;
struct tun;
struct tun_echo;
struct tun_udp;

/** The device of @c, not opened before tun_open. Gives a reference; NULL when memory is out. */
struct tun *tun_ref(struct core *c);
/** Takes NULL too. The last one closes the device. */
void tun_unref(struct tun *t);
/** Opens the device and reads packets once the loop runs: their flows are of @in. 0, or -ERR_* with
 * a line logged. */
int tun_open(struct tun *t, struct inbound *in, struct tcp_stack_user *on_syn);
/** No flows are begun any more. */
void tun_stop(struct tun *t);
struct loop *tun_loop(const struct tun *t);
/* NULL before tun_open. */
struct tcp_stack *tun_tcp(const struct tun *t);
struct tun_udp *tun_udp_of(const struct tun *t);
struct tun_echo *tun_echo_of(const struct tun *t);

#endif
