/*
 * The classic reverse proxy: bridges on the hidden side, portals on the public
 * one. The VLESS kind is written on users and outbounds (inbound.h, outbound.h).
 */
#ifndef GARENNE_CONF_REVERSE_H
#define GARENNE_CONF_REVERSE_H

#include "conf/value.h"

struct conf_bridge {
	struct conf_at at;
	const char *tag;    /* inboundTag of everything that comes out of it */
	const char *domain; /* compared byte for byte by the portal */
};

struct conf_portal {
	struct conf_at at;
	const char *tag; /* an outbound */
	const char *domain;
	struct conf_strs users; /* ours: emails that may register; empty: anybody */
	/* ours: internal name of the control session; "" finds out ("auto") */
	const char *control_name;
};

struct conf_reverse {
	struct conf_at at;
	const struct conf_bridge *bridges;
	size_t n_bridges;
	const struct conf_portal *portals;
	size_t n_portals;
};

#endif
