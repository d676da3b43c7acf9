/* The final rules of freedom and tun: what may be reached in the end, whatever the routing said. */
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

enum { BLOCK_DELAY_MIN_S = 30, BLOCK_DELAY_MAX_S = 90 };

static void final_rule_parse(const struct jnode *n, struct conf_final_rule *out)
{
	static const struct key keys[] = {KNOWN("action"), KNOWN("network"),	KNOWN("port"),
					  KNOWN("ip"),	   KNOWN("blockDelay"), KEYS_END};
	static const struct conf_range delay = {BLOCK_DELAY_MIN_S, BLOCK_DELAY_MAX_S};
	struct jnode action;
	const char *text;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	jnode_get(n, "action", &action);
	text = jnode_text(&action, "");
	if (strcasecmp(text, "allow") == 0)
		out->allow = true;
	else if (strcasecmp(text, "block") != 0)
		jnode_error(&action, "unknown action: %.40s, expected allow or block", text);
	out->networks = jnode_networks(n, "network", 0);
	out->ports = jnode_ports(n, "port");
	out->ips = jnode_strs(n, "ip");
	out->block_delay_s = jnode_range(n, "blockDelay", delay);
}

void conf_parse_final_rules(const struct jnode *settings, const struct conf_final_rule **out,
			    size_t *out_n)
{
	struct conf_final_rule *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(settings, "finalRules", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) final_rule_parse(&it, &v[i++]);
	*out = v;
	*out_n = n;
}
