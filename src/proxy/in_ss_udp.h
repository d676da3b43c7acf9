/*
 * The UDP side of a Shadowsocks inbound: one socket, many clients. 2022 tells
 * clients apart by session id, classic by address. What is not authentic is
 * dropped without a word.
 */
#ifndef GARENNE_PROXY_IN_SS_UDP_H
#define GARENNE_PROXY_IN_SS_UDP_H

#include "flow/inbound.h"
#include "proxy/ss_keys.h"

struct in_ss_udp;

/** Opens a socket for each port of @in. Borrows all. Gives, or NULL with a line logged. */
struct in_ss_udp *in_ss_udp_start(struct inbound *in, const struct conf_in_ss *conf,
				  const struct ss_people *people);
/** Closes the sockets; flows that are left find it gone. Takes NULL too. */
void in_ss_udp_stop(struct in_ss_udp *u);

#endif
