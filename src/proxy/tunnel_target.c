#include "proxy/tunnel_target.h"

#include "base/err.h"
#include "net/sock.h"

struct addr tunnel_fixed(const struct conf_in_tunnel *conf, const struct ipport *local)
{
	struct addr to = conf->rewrite;

	for (size_t i = 0; i < conf->n_map; i++) {
		const struct addr *m = &conf->map[i].to;

		if (conf->map[i].local != local->port || local->ip.family == 0)
			continue;
		if (m->kind != ADDR_NONE) {
			uint16_t port = to.port;

			to = *m;
			to.port = port;
		}
		if (m->port)
			to.port = m->port;
		break;
	}
	if (to.kind == ADDR_NONE) {
		const char *host = local->ip.family == 4 ? "127.0.0.1" :
				   local->ip.family == 6 ? "::1" :
							   "localhost";

		addr_set_host(&to, span_str(host), to.port);
	}
	if (to.port == 0)
		to.port = local->port;
	return to;
}

/* Asked only when the ports agree, so that ordinary connections cost no system call. */
static bool is_inbound(const struct conf_listen *l, const struct ipport *to)
{
	if (l->kind == CONF_LISTEN_UNIX || !conf_ports_has(&l->ports, to->port))
		return false;
	if (l->kind == CONF_LISTEN_IP && !ip_is_any(&l->ip))
		return ip_eq(&l->ip, &to->ip);
	return sock_is_local(&to->ip);
}

int tunnel_target(struct addr *out, const struct conf_inbound *in,
		  const struct tunnel_arrival *arrival)
{
	const struct conf_in_tunnel *conf = &in->tunnel;
	struct addr to = tunnel_fixed(conf, &arrival->local);

	if (!conf->follow_redirect) {
		*out = to;
		return 0;
	}
	if (arrival->original.ip.family) {
		if (is_inbound(&in->listen, &arrival->original))
			return -ERR_LOOP;
		*out = addr_from_ipport(&arrival->original);
		return 0;
	}
	if (conf->rewrite.kind == ADDR_NONE) {
		if (!*arrival->sni || addr_set_host(&to, span_str(arrival->sni), to.port) != 0)
			return -ERR_UNSUPPORTED;
	}
	*out = to;
	return 0;
}
