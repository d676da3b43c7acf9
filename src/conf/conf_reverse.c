/* Bridges and portals of the classic reverse proxy. */
#include <string.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

static void bridge_parse(const struct jnode *n, struct conf_bridge *out)
{
	static const struct key keys[] = {KNOWN("tag"), KNOWN("domain"), KEYS_END};

	out->tag = out->domain = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->tag = jnode_str(n, "tag", "");
	out->domain = jnode_str(n, "domain", "");
	if (*out->tag == 0)
		jnode_error(n, "bridge tag is empty");
	if (*out->domain == 0)
		jnode_error(n, "bridge domain is empty");
}

/* The name by which a bridge knows the control session differs between programs. */
static const char *control_name(const struct jnode *obj)
{
	static const char *const names[] = {
		"reverse",
		"reverse.internal.v2fly.org",
		"reverse.internal.v2ray.com",
		"reverse.internal.example.com",
	};
	const char *text = jnode_str(obj, "controlName", "auto");
	struct jnode n;

	if (strcmp(text, "auto") == 0 || *text == 0)
		return "";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return names[i];
	jnode_get(obj, "controlName", &n);
	jnode_error(&n, "found \"%.60s\", expected auto, %s, %s, %s or %s", text, names[0],
		    names[1], names[2], names[3]);
	return "";
}

static void portal_parse(const struct jnode *n, struct conf_portal *out)
{
	static const struct key keys[] = {KNOWN("tag"), KNOWN("domain"), KNOWN("user"),
					  KNOWN("controlName"), KEYS_END};

	out->tag = out->domain = out->control_name = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->tag = jnode_str(n, "tag", "");
	out->domain = jnode_str(n, "domain", "");
	out->users = jnode_strs(n, "user");
	out->control_name = control_name(n);
	if (*out->tag == 0)
		jnode_error(n, "portal tag is empty");
	if (*out->domain == 0)
		jnode_error(n, "portal domain is empty");
}

/* The name travels as a target, so it must be a host name and no address. */
static void check_domain(const struct jnode *n, const char *domain)
{
	struct addr a;

	if (*domain == 0)
		return;
	if (addr_set_host(&a, span_str(domain), 0) != 0 || a.kind != ADDR_NAME)
		jnode_error(n,
			    "domain: found \"%.60s\", expected a host name of letters, digits, "
			    "'-', '.' and '_' that need not exist",
			    domain);
}

void section_reverse(const struct jnode *n, struct conf_reverse *out)
{
	static const struct key keys[] = {KNOWN("bridges"), KNOWN("portals"), KEYS_END};
	struct jnode bridges, portals, it;
	struct conf_bridge *b;
	struct conf_portal *p;
	size_t i = 0;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	jnode_get(n, "bridges", &bridges);
	out->n_bridges = jnode_count(&bridges);
	out->bridges = b = conf_arena_array(n->ld->arena, out->n_bridges, sizeof(*b));
	if (!b)
		out->n_bridges = 0;
	jnode_get(n, "portals", &portals);
	out->n_portals = jnode_count(&portals);
	out->portals = p = conf_arena_array(n->ld->arena, out->n_portals, sizeof(*p));
	if (!p)
		out->n_portals = 0;
	for (bool more = b && jnode_first(&bridges, &it); more; more = jnode_next(&it)) {
		bridge_parse(&it, &b[i]);
		check_domain(&it, b[i++].domain);
	}
	i = 0;
	for (bool more = p && jnode_first(&portals, &it); more; more = jnode_next(&it)) {
		portal_parse(&it, &p[i]);
		check_domain(&it, p[i++].domain);
	}
}
