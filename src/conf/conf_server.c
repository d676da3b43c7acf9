/* What the settings of most protocols have: the server that an outbound speaks to, a policy level. */
#include "conf/sections.h"
#include "conf/value_parse.h"

void conf_parse_server(const struct jnode *obj, const char *missing, struct addr *out)
{
	struct jnode address, port;

	if (!jnode_get(obj, "address", &address))
		jnode_error(&address, "%s", missing);
	else
		jnode_host_value(&address, out);
	if (!jnode_get(obj, "port", &port))
		jnode_error(&port, "found nothing, expected a port from 1 to 65535");
	out->port = (uint16_t)jnode_integer(&port, 1, 65535, 0);
}

bool conf_parse_server_object(const struct jnode *settings, const char *list, const char *name,
			      const struct key *list_keys, struct jnode *holder, struct jnode *out)
{
	struct jnode address;

	if (jnode_get(settings, "address", &address)) {
		if (jnode_get(settings, list, holder))
			jnode_warn(holder, "has no effect beside \"address\"");
		*out = *settings;
		return true;
	}
	jnode_get(settings, list, holder);
	if (jnode_count(holder) != 1) {
		jnode_error(holder,
			    "%s settings: \"%s\" should have one and only one member. Multiple "
			    "endpoints in \"%s\" should use multiple outbounds and routing "
			    "balancer instead",
			    name, list, list);
		return false;
	}
	jnode_first(holder, out);
	return jnode_object(out, list_keys);
}

uint32_t conf_parse_level(const struct jnode *obj, const char *key)
{
	return (uint32_t)jnode_int(obj, key, 0, UINT32_MAX, 0);
}
