#include "conf/map.h"

#include "conf/sections.h"
#include "conf/value_parse.h"

static bool map_prefix(const struct jnode *n, const char *key, struct prefix *out)
{
	struct jnode member;
	char found[FOUND_MAX];

	jnode_get(n, key, &member);
	if (member.v && cJSON_IsString(member.v) &&
	    prefix_parse(out, span_str(member.v->valuestring)) == 0)
		return true;
	jnode_error(&member, "found %s, expected a prefix like 192.168.1.0/24",
		    jnode_found(&member, found, sizeof(found)));
	return false;
}

static void map_parse(const struct jnode *n, struct conf_map *out)
{
	static const struct key keys[] = {KNOWN("from"), KNOWN("to"), KEYS_END};
	bool from, to;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	from = map_prefix(n, "from", &out->from);
	to = map_prefix(n, "to", &out->to);
	if (from && to && (out->from.len != out->to.len || out->from.ip.family != out->to.ip.family))
		jnode_error(n, "found /%u and /%u of IPv%u and IPv%u, expected two prefixes of one "
			       "family and one length",
			    out->from.len, out->to.len, out->from.ip.family, out->to.ip.family);
}

void conf_parse_maps(const struct jnode *obj, const char *key, const struct conf_map **out,
		     size_t *out_n)
{
	struct conf_map *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(obj, key, &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) map_parse(&it, &v[i++]);
	*out = v;
	*out_n = n;
}

bool conf_map_forth(const struct conf_map *v, size_t n, struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has(&v[i].from, ip)) {
			*ip = prefix_rebase(&v[i].to, ip);
			return true;
		}
	return false;
}

bool conf_map_back(const struct conf_map *v, size_t n, struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has(&v[i].to, ip)) {
			*ip = prefix_rebase(&v[i].from, ip);
			return true;
		}
	return false;
}
