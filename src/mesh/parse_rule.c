/* Groups, policy, exits, forwards and what is expected of them. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "mesh/parse.h"

/* ---- words that stand for nodes ---- */

static const char *const kinds[MESH_KINDS] = {"hubs", "sites", "phones"};

static int kind_of_word(const char *word)
{
	for (int k = 0; k < MESH_KINDS; k++)
		if (strcmp(word, kinds[k]) == 0)
			return k;
	return -1;
}

static const struct mesh_group *group_find(const struct mesh *m, const char *name)
{
	for (size_t i = 0; i < m->n_groups; i++)
		if (strcmp(m->groups[i].name, name) == 0)
			return &m->groups[i];
	return NULL;
}

/* The nodes that @word means; false when it means nothing. */
static bool nodes_of(const struct mesh *m, const char *word, bool *member)
{
	const struct mesh_group *g = group_find(m, word);
	int kind = kind_of_word(word), node = mesh_find(m, span_str(word));

	for (size_t i = 0; i < m->n_nodes; i++)
		member[i] |= strcmp(word, "any") == 0 || (g && g->member[i]) || (int)i == node ||
			     (int)m->nodes[i].kind == kind;
	return strcmp(word, "any") == 0 || g || kind >= 0 || node != MESH_NOBODY;
}

static void unknown(const struct jnode *n, const struct mesh *m, const char *word)
{
	const char *names[256], *near;
	size_t count = 0;

	for (size_t i = 0; i < m->n_nodes && count < 200; i++)
		names[count++] = m->nodes[i].name;
	for (size_t i = 0; i < m->n_groups && count < 250; i++)
		names[count++] = m->groups[i].name;
	for (int k = 0; k < MESH_KINDS; k++)
		names[count++] = kinds[k];
	near = word_nearest(word, names, count);
	jnode_error(n, "found \"%.60s\", expected a node, a group, hubs, sites, phones or any%s%s%s",
		    word, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* ---- groups ---- */

static void group_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_group *out)
{
	struct conf_strs words = jnode_string_list(n);

	out->at = jnode_at(n);
	out->name = conf_arena_text(p->ld.arena, span_str(n->key));
	out->member = conf_arena_array(p->ld.arena, p->m->n_nodes, sizeof(*out->member));
	if (!mesh_name_ok(out->name))
		jnode_error(n, "is no name for a group: a-z, 0-9 and \"-\", at most %d bytes",
			    MESH_NAME_MAX);
	else if (kind_of_word(out->name) >= 0 || strcmp(out->name, "any") == 0 ||
		 strcmp(out->name, "internet") == 0 ||
		 mesh_find(p->m, span_str(out->name)) != MESH_NOBODY)
		jnode_error(n, "found \"%s\", which means something else here; expected another name",
			    n->key);
	for (size_t i = 0; out->member && i < words.n; i++)
		if (!nodes_of(p->m, words.v[i], out->member))
			unknown(n, p->m, words.v[i]);
}

static void groups_parse(struct mesh_parser *p, const struct jnode *root)
{
	struct jnode map, it;
	size_t n;

	jnode_get(root, "groups", &map);
	if (!jnode_map(&map))
		return;
	n = jnode_members(&map);
	p->m->groups = conf_arena_array(p->ld.arena, n, sizeof(*p->m->groups));
	if (!p->m->groups)
		return;
	/* A group may use those above it: each counts from when it is complete. */
	jnode_each(it, &map)
	{
		group_parse(p, &it, &p->m->groups[p->m->n_groups]);
		p->m->n_groups++;
	}
}

/* ---- whose flows ---- */

/* True when the kind's range holds all nodes of the kind and no others. */
static bool kind_range_fits(const struct mesh *m, enum mesh_kind kind, const struct prefix *range,
			    int family)
{
	if (range->ip.family == 0)
		return false;
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct ip *ip = family == 4 ? &m->nodes[i].ip4 : &m->nodes[i].ip6;

		if (ip->family && prefix_has(range, ip) != (m->nodes[i].kind == kind))
			return false;
	}
	return true;
}

struct prefix_room {
	struct prefix *v;
	size_t n;
};

static void add_nodes(const struct mesh *m, const bool *member, int family,
		      struct prefix_room *out)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct ip *ip = family == 4 ? &m->nodes[i].ip4 : &m->nodes[i].ip6;

		if (member[i] && ip->family)
			out->v[out->n++] = (struct prefix){*ip, family == 4 ? 32 : 128};
	}
}

/* A kind by its range, so that a new phone changes nothing at the sites. */
static void add_kind(const struct mesh *m, enum mesh_kind kind, int family,
		     struct prefix_room *out)
{
	struct prefix range = mesh_kind_range(m, kind, family);
	bool member[MESH_NODES_MAX];

	if (kind_range_fits(m, kind, &range, family)) {
		out->v[out->n++] = range;
		return;
	}
	for (size_t i = 0; i < m->n_nodes; i++)
		member[i] = m->nodes[i].kind == kind;
	add_nodes(m, member, family, out);
}

/* ---- whose flows: machines in LANs ---- */

enum { LAN_RANGES = 64 }; /* at most: one for each bit of a range's length */

/* The ranges that mapped LANs lie in, and no node: the one for IPv4; in IPv6 all /64s but the
 * first 4096, which are the nodes' own. */
static size_t lan_ranges(const struct mesh *m, struct prefix out[LAN_RANGES])
{
	enum { NODES_LEN = 52 };
	const struct prefix *six = &m->range6;
	size_t n = 0;

	if (m->mapped.ip.family)
		out[n++] = m->mapped;
	for (unsigned len = six->len + 1u; six->ip.family && len <= NODES_LEN; len++) {
		out[n] = (struct prefix){six->ip, (uint8_t)len};
		out[n++].ip.b[(len - 1) / 8] |= (uint8_t)(0x80 >> (len - 1) % 8);
	}
	return n;
}

static bool within_any(const struct prefix *v, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].len <= p->len && prefix_has(&v[i], &p->ip))
			return true;
	return false;
}

/* All sites together by these ranges, so that a new site changes nothing at the others. */
static void add_lans(const struct mesh *m, const bool *member, bool all_sites,
		     struct prefix_room *out)
{
	struct prefix ranges[LAN_RANGES];
	size_t n = all_sites ? lan_ranges(m, ranges) : 0;

	for (size_t i = 0; i < n; i++)
		out->v[out->n++] = ranges[i];
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; member[i] && k < m->nodes[i].n_lans; k++)
			if (!within_any(ranges, n, &m->nodes[i].lans[k].seen))
				out->v[out->n++] = m->nodes[i].lans[k].seen;
}

static size_t count_lans(const struct mesh *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_nodes; i++)
		n += m->nodes[i].n_lans;
	return n;
}

static void sources_of_all(const struct mesh *m, struct prefix_room *out)
{
	out->n = mesh_routes(m, out->v, 2 * m->n_nodes + LAN_RANGES + count_lans(m));
}

static void sources_of(struct mesh_parser *p, const struct conf_strs *words, bool all,
		       const bool *member, struct mesh_from *out)
{
	const struct mesh *m = p->m;
	size_t most = 2 * m->n_nodes + 8 + LAN_RANGES + count_lans(m);
	struct prefix_room room = {conf_arena_array(p->ld.arena, most, sizeof(*room.v)), 0};
	bool kind[MESH_KINDS] = {false}, rest[MESH_NODES_MAX];

	if (!room.v)
		return;
	for (size_t i = 0; i < words->n; i++) {
		int k = kind_of_word(words->v[i]);

		if (k >= 0)
			kind[k] = true;
	}
	for (size_t i = 0; i < m->n_nodes; i++)
		rest[i] = member[i] && !kind[m->nodes[i].kind];
	if (all)
		sources_of_all(m, &room);
	for (int family = 4; !all && family <= 6; family += 2) {
		for (int k = 0; k < MESH_KINDS; k++)
			if (kind[k])
				add_kind(m, (enum mesh_kind)k, family, &room);
		add_nodes(m, rest, family, &room);
	}
	if (!all)
		add_lans(m, member, kind[MESH_SITE], &room);
	out->prefixes = room.v;
	out->n_prefixes = room.n;
}

void mesh_parse_from(struct mesh_parser *p, const struct jnode *n, struct mesh_from *out)
{
	struct conf_strs words = jnode_string_list(n);
	bool *member = conf_arena_array(p->ld.arena, p->m->n_nodes, sizeof(*member));

	out->member = member;
	if (words.n == 0)
		jnode_error(n, "found nothing, expected nodes or groups, or any");
	for (size_t i = 0; member && i < words.n; i++) {
		out->all |= strcmp(words.v[i], "any") == 0;
		if (!nodes_of(p->m, words.v[i], member))
			unknown(n, p->m, words.v[i]);
	}
	if (member)
		sources_of(p, &words, out->all, member, out);
}

/* ---- where to ---- */

static const struct mesh_host *host_find(const struct mesh_node *node, struct span name)
{
	for (size_t i = 0; i < node->n_hosts; i++)
		if (span_eq(span_str(node->hosts[i].name), name))
			return &node->hosts[i];
	return NULL;
}

/* "HOST.NODE" or an address or prefix of one node; false when it is none of these. */
static bool place_of(const struct mesh *m, const char *word, struct mesh_place *out)
{
	const char *dot = strchr(word, '.');
	const struct mesh_host *h;
	struct prefix owned[80];
	struct prefix pre;
	size_t n;
	int node;

	if (prefix_parse(&pre, span_str(word)) == 0) {
		node = mesh_owner(m, &pre.ip);
		n = node == MESH_NOBODY ? 0 : mesh_places(m, node, owned, 80);
		for (size_t i = 0; i < n; i++)
			if (owned[i].len <= pre.len && prefix_has(&owned[i], &pre.ip)) {
				*out = (struct mesh_place){node, pre};
				return true;
			}
		return false;
	}
	node = dot ? mesh_find(m, span_str(dot + 1)) : MESH_NOBODY;
	if (node == MESH_NOBODY)
		return false;
	h = host_find(&m->nodes[node], span_of(word, (size_t)(dot - word)));
	if (!h)
		return false;
	*out = (struct mesh_place){node, {h->seen, h->seen.family == 4 ? 32 : 128}};
	return true;
}

bool mesh_parse_target(struct mesh_parser *p, const struct jnode *n, struct span text,
		       struct mesh_place *out)
{
	const char *word = conf_arena_text(p->ld.arena, text);
	int node = mesh_find(p->m, text);
	const struct ip *ip;

	if (node != MESH_NOBODY && p->m->nodes[node].kind == MESH_PHONE) {
		jnode_error(n, "found \"%.60s\": a phone cannot be reached", word);
		return false;
	}
	if (node != MESH_NOBODY) {
		ip = p->m->nodes[node].ip4.family ? &p->m->nodes[node].ip4 : &p->m->nodes[node].ip6;
		*out = (struct mesh_place){node, {*ip, ip->family == 4 ? 32 : 128}};
		return true;
	}
	if (place_of(p->m, word, out) && out->prefix.len == (out->prefix.ip.family == 4 ? 32 : 128))
		return true;
	jnode_error(n, "found \"%.60s\", expected a node, HOST.SITE or an address of the mesh", word);
	return false;
}

struct place_room {
	struct mesh_place *v;
	size_t n, cap;
};

static void place_add(struct mesh_parser *p, struct place_room *r, const struct mesh_place *place)
{
	struct mesh_place *v;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;

		v = conf_arena_array(p->ld.arena, cap, sizeof(*v));
		if (!v)
			return;
		if (r->n)
			memcpy(v, r->v, r->n * sizeof(*v));
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *place;
}

static void to_nodes(struct mesh_parser *p, const struct jnode *n, const char *word,
		     struct place_room *r)
{
	const struct mesh *m = p->m;
	int single = mesh_find(m, span_str(word));
	bool member[MESH_NODES_MAX] = {false};
	struct prefix owned[80];

	if (single != MESH_NOBODY && m->nodes[single].kind == MESH_PHONE) {
		jnode_error(n, "found \"%.60s\": a phone cannot be reached", word);
		return;
	}
	nodes_of(m, word, member);
	for (size_t i = 0; i < m->n_nodes; i++) {
		size_t count = member[i] && m->nodes[i].kind != MESH_PHONE
				       ? mesh_places(m, (int)i, owned, 80)
				       : 0;

		for (size_t k = 0; k < count; k++) {
			struct mesh_place place = {(int)i, owned[k]};

			place_add(p, r, &place);
		}
	}
}

static void to_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_rule *out)
{
	struct conf_strs words = jnode_string_list(n);
	bool unused[MESH_NODES_MAX] = {false};
	struct place_room r = {0};
	struct mesh_place place;

	if (words.n == 0)
		jnode_error(n, "found nothing, expected nodes, groups, HOST.SITE, addresses or any");
	for (size_t i = 0; i < words.n; i++) {
		if (place_of(p->m, words.v[i], &place))
			place_add(p, &r, &place);
		else if (nodes_of(p->m, words.v[i], unused))
			to_nodes(p, n, words.v[i], &r);
		else if (strpbrk(words.v[i], "./:"))
			jnode_error(n, "found \"%.60s\", which is no host of a site and no address "
				       "that a node has", words.v[i]);
		else
			unknown(n, p->m, words.v[i]);
	}
	out->to = r.v;
	out->n_to = r.n;
}

/* ---- policy ---- */

static void rule_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_rule *out)
{
	static const struct key keys[] = {KNOWN("name"), KNOWN("from"),	   KNOWN("to"),
					  KNOWN("ports"), KNOWN("network"), KNOWN("action"),
					  KNOWN("delivery"), KEYS_END};
	static const struct word actions[] = {{"allow", 1}, {"deny", 0}, {NULL, 0}};
	struct jnode from, to, name, delivery;

	out->at = jnode_at(n);
	out->name = "";
	if (!jnode_object(n, keys)) {
		if (!n->v || cJSON_IsNull(n->v))
			jnode_error(n, "found nothing, expected a rule { }");
		return;
	}
	jnode_get(n, "name", &name);
	out->name = jnode_text(&name, "");
	if (strlen(out->name) > MESH_NAME_MAX || strpbrk(out->name, "\r\n\""))
		jnode_error(&name, "expected at most %d bytes in one line", MESH_NAME_MAX);
	out->allow = jnode_word(n, "action", actions, 1) == 1;
	jnode_get(n, "from", &from);
	mesh_parse_from(p, &from, &out->from);
	jnode_get(n, "to", &to);
	to_parse(p, &to, out);
	out->ports = jnode_ports(n, "ports");
	out->networks = jnode_networks(n, "network", 0);
	out->delivery = mesh_parse_delivery(n, MESH_DIAL);
	out->delivers = jnode_get(n, "delivery", &delivery);
	if (out->delivers && !out->allow)
		jnode_error(&delivery, "has no meaning with \"action\": \"deny\"");
}

static void policy_parse(struct mesh_parser *p, const struct jnode *root)
{
	struct jnode list, it;
	size_t n;

	jnode_get(root, "policy", &list);
	n = jnode_count(&list);
	if (n > MESH_RULES_MAX) {
		jnode_error(&list, "found %zu rules, expected at most %d", n, MESH_RULES_MAX);
		return;
	}
	p->m->rules = conf_arena_array(p->ld.arena, n, sizeof(*p->m->rules));
	if (!p->m->rules)
		return;
	jnode_each(it, &list)
	{
		struct mesh_rule *r = &p->m->rules[p->m->n_rules++];

		r->number = p->m->n_rules;
		rule_parse(p, &it, r);
	}
}

/* ---- exits ---- */

static void exits_parse(struct mesh_parser *p, const struct jnode *root)
{
	static const struct key keys[] = {KNOWN("from"), KNOWN("through"), KEYS_END};
	struct jnode list, it, n;
	size_t count;

	jnode_get(root, "exits", &list);
	count = jnode_count(&list);
	p->m->exits = conf_arena_array(p->ld.arena, count, sizeof(*p->m->exits));
	if (!p->m->exits)
		return;
	jnode_each(it, &list)
	{
		struct mesh_exit *e = &p->m->exits[p->m->n_exits++];
		const char *name;

		e->at = jnode_at(&it);
		e->number = p->m->n_exits;
		jnode_object(&it, keys);
		jnode_get(&it, "from", &n);
		mesh_parse_from(p, &n, &e->from);
		name = jnode_str(&it, "through", "");
		e->through = mesh_find(p->m, span_str(name));
		jnode_get(&it, "through", &n);
		if (e->through == MESH_NOBODY || p->m->nodes[e->through].kind == MESH_PHONE)
			jnode_error(&n, "found \"%.60s\", expected a hub or a site", name);
	}
}

/* ---- forwards ---- */

static void forward_to(struct mesh_parser *p, const struct jnode *it, struct mesh_forward *f)
{
	const char *text = jnode_str(it, "to", ""), *colon = strrchr(text, ':');
	struct addr probe;
	struct jnode n;

	jnode_get(it, "to", &n);
	if (!colon || addr_parse(&probe, span_str(text)) != 0 || probe.port == 0) {
		jnode_error(&n, "found \"%.60s\", expected NODE:PORT, HOST.SITE:PORT or ADDRESS:PORT",
			    text);
		return;
	}
	f->to_port = probe.port;
	if (*text == '[')
		mesh_parse_target(p, &n, span_of(text + 1, (size_t)(colon - text) - 2), &f->to);
	else
		mesh_parse_target(p, &n, span_of(text, (size_t)(colon - text)), &f->to);
}

static void forward_parse(struct mesh_parser *p, const struct jnode *it, struct mesh_forward *f)
{
	static const struct key keys[] = {KNOWN("name"), KNOWN("hub"),	   KNOWN("port"), KNOWN("listen"),
					  KNOWN("to"),	 KNOWN("network"), KNOWN("delivery"),
					  KEYS_END};
	const char *hub;
	struct jnode n;

	f->at = jnode_at(it);
	f->name = f->listen = "";
	if (!jnode_object(it, keys))
		return;
	jnode_get(it, "name", &n);
	f->name = jnode_text(&n, "");
	if (!mesh_name_ok(f->name))
		jnode_error(&n, "found \"%.60s\", expected a name: a-z, 0-9 and \"-\"", f->name);
	f->listen = jnode_str(it, "listen", "");
	f->networks = jnode_networks(it, "network", CONF_TCP);
	jnode_get(it, "port", &n);
	if (!n.v)
		jnode_error(&n, "found nothing, expected a port of the hub");
	f->port = (uint16_t)jnode_integer(&n, 1, 65535, 0);
	hub = jnode_str(it, "hub", p->m->nodes[0].name);
	f->hub = mesh_find(p->m, span_str(hub));
	jnode_get(it, "hub", &n);
	if (f->hub == MESH_NOBODY || p->m->nodes[f->hub].kind != MESH_HUB)
		jnode_error(&n, "found \"%.60s\", expected the name of a hub", hub);
	forward_to(p, it, f);
	f->delivery = mesh_parse_delivery(it, MESH_DIAL);
	jnode_get(it, "delivery", &n);
	if (f->delivery == MESH_TRANSPARENT)
		jnode_error(&n, "found \"transparent\", expected \"dial\" or \"proxy\": answers to "
				"addresses of the internet do not come back to the site");
}

static void forwards_parse(struct mesh_parser *p, const struct jnode *root)
{
	struct jnode list, it;
	size_t n;

	jnode_get(root, "forwards", &list);
	n = jnode_count(&list);
	p->m->forwards = conf_arena_array(p->ld.arena, n, sizeof(*p->m->forwards));
	if (!p->m->forwards)
		return;
	jnode_each(it, &list)
	{
		struct mesh_forward *f = &p->m->forwards[p->m->n_forwards++];

		f->number = p->m->n_forwards;
		forward_parse(p, &it, f);
	}
}

void mesh_parse_rules(struct mesh_parser *p, const struct jnode *root)
{
	struct jnode list;

	groups_parse(p, root);
	policy_parse(p, root);
	exits_parse(p, root);
	forwards_parse(p, root);
	jnode_get(root, "expect", &list);
	mesh_parse_expect(p, &list);
}
