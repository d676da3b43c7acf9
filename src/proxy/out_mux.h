/*
 * An outbound whose flows share carriers (Mux.Cool), by the "mux" object of the
 * configuration. It stands in front of the outbound proper, which opens the
 * carriers: flows to the name v1.mux.cool. TCP and UDP may have carriers of
 * their own; what the settings keep out of mux goes straight through.
 */
#ifndef GARENNE_PROXY_OUT_MUX_H
#define GARENNE_PROXY_OUT_MUX_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Takes @inner, also on failure. Borrows @conf, whose mux is enabled. Gives, or NULL. */
struct outbound *out_mux_new(struct core *c, const struct conf_outbound *conf,
			     struct outbound *inner);

#endif
