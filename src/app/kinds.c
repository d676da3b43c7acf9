#include "app/kinds.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "proxy/in_http.h"
#include "proxy/in_socks.h"
#include "proxy/in_ss.h"
#include "proxy/in_tunnel.h"
#include "proxy/in_vless.h"
#include "proxy/out_blackhole.h"
#include "proxy/out_dns.h"
#include "proxy/out_freedom.h"
#include "proxy/out_http.h"
#include "proxy/out_join.h"
#include "proxy/out_loopback.h"
#include "proxy/out_mux.h"
#include "proxy/out_socks.h"
#include "proxy/out_ss.h"
#include "proxy/out_vless.h"
#include "proxy/portal.h"
#include "vpn/in_tun.h"
#include "vpn/out_tun.h"

static struct inbound *(*const inbounds[CONF_IN_TUN + 1])(struct core *c,
							       const struct conf_inbound *conf) = {
	[CONF_IN_TUNNEL] = in_tunnel_new,
	[CONF_IN_HTTP] = in_http_new,
	[CONF_IN_SOCKS] = in_socks_new,
	[CONF_IN_VLESS] = in_vless_new,
	[CONF_IN_SHADOWSOCKS] = in_ss_new,
	[CONF_IN_TUN] = in_tun_new,
};

static struct outbound *(*const outbounds[CONF_OUT_JOIN + 1])(struct core *c,
							      const struct conf_outbound *conf) = {
	[CONF_OUT_LOOPBACK] = out_loopback_new,
	[CONF_OUT_DNS] = out_dns_new,
	[CONF_OUT_HTTP] = out_http_new,
	[CONF_OUT_SOCKS] = out_socks_new,
	[CONF_OUT_FREEDOM] = out_freedom_new,
	[CONF_OUT_BLACKHOLE] = out_blackhole_new,
	[CONF_OUT_VLESS] = out_vless_new,
	[CONF_OUT_SHADOWSOCKS] = out_ss_new,
	[CONF_OUT_TUN] = out_tun_new,
	[CONF_OUT_JOIN] = out_join_new,
};

struct inbound *kinds_inbound(struct core *c, const struct conf_inbound *conf)
{
	if (!inbounds[conf->proto]) {
		log_err("app", "inbound protocol %s at %s:%d is not in this build",
			conf->proto_name, conf->at.file, conf->at.line);
		return NULL;
	}
	return inbounds[conf->proto](c, conf);
}

struct outbound *kinds_outbound(struct core *c, const struct conf_outbound *conf)
{
	struct outbound *o;

	if (!outbounds[conf->proto]) {
		log_err("app", "outbound protocol %s at %s:%d is not in this build",
			conf->proto_name, conf->at.file, conf->at.line);
		return NULL;
	}
	o = outbounds[conf->proto](c, conf);
	if (o && conf->mux.enabled)
		o = out_mux_new(c, conf, o);
	/* freedom has it among its own settings, too, and does it itself. */
	if (o && conf->proto != CONF_OUT_FREEDOM)
		o->target_strategy = conf->target_strategy;
	return o;
}

static bool has_tag(struct outbound *const *v, size_t n, const char *tag)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i]->tag, tag) == 0)
			return true;
	return false;
}

static int add_portal(struct core *c, const char *tag, struct outbound ***out, size_t *n)
{
	struct outbound **more;

	if (!*tag || core_outbound(c, tag) || has_tag(*out, *n, tag))
		return 0;
	more = realloc(*out, (*n + 1) * sizeof(*more));
	if (!more)
		return -ERR_NOMEM;
	*out = more;
	more[*n] = portal_new_vless(c, tag);
	if (!more[*n])
		return -ERR_NOMEM;
	++*n;
	return 0;
}

int kinds_portals(struct core *c, const struct conf *conf, struct outbound ***out, size_t *n)
{
	int err = 0;

	*out = NULL;
	*n = 0;
	for (size_t i = 0; i < conf->n_inbounds; i++) {
		const struct conf_inbound *in = &conf->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users && !err; u++)
			err = add_portal(c, in->vless.users[u].reverse_tag, out, n);
	}
	return err;
}
