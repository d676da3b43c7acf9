/*
 * Every byte is payload: connections and packets go to a fixed target (also one
 * per local port), or with followRedirect to where they were going before the
 * firewall redirected them to us. Known as dokodemo-door.
 *
 * UDP: a client's address is one flow, whatever it addresses; answers leave from
 * where the client sent to, and with tproxy from the very address that
 * answered.
 */
#ifndef GARENNE_PROXY_IN_TUNNEL_H
#define GARENNE_PROXY_IN_TUNNEL_H

#include "conf/inbound.h"
#include "flow/inbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct inbound *in_tunnel_new(struct core *c, const struct conf_inbound *conf);

#endif
