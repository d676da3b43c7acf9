/* What is expected of the policy: "alice may reach nas.paris:443/tcp". */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "mesh/parse.h"

static const char form[] = "expected \"NODE may reach TARGET:PORT\", with \"may not\" for the "
			   "contrary, /tcp or /udp behind the port, or \"internet\" as target";

/* The text behind @word and a blank, or NULL. */
static const char *behind(const char *text, const char *word)
{
	size_t n = strlen(word);

	return strncmp(text, word, n) == 0 && text[n] == ' ' ? text + n + 1 : NULL;
}

/* Cuts "/tcp" or "/udp" off; false for another word. */
static bool network_of(struct span *text, unsigned *network)
{
	static const char tcp[] = "/tcp", udp[] = "/udp";

	*network = CONF_TCP;
	for (size_t i = 0; i < text->n; i++) {
		struct span word = span_of(text->p + i, text->n - i);

		if (text->p[i] != '/')
			continue;
		if (!span_eq(word, span_str(tcp)) && !span_eq(word, span_str(udp)))
			return false;
		*network = span_eq(word, span_str(udp)) ? CONF_UDP : CONF_TCP;
		text->n = i;
	}
	return true;
}

static void target_parse(struct mesh_parser *p, const struct jnode *n, const char *text,
			 struct mesh_expect *out)
{
	struct span t = span_str(text);
	struct mesh_place place;
	struct addr a;
	char host[ADDR_TEXT_MAX];

	if (strcmp(text, "internet") == 0) {
		out->internet = true;
		out->network = CONF_TCP;
		out->port = 443;
		return;
	}
	if (!network_of(&t, &out->network) || addr_parse(&a, t) != 0 || a.port == 0) {
		jnode_error(n, "found target \"%.60s\", %s", text, form);
		return;
	}
	out->port = a.port;
	if (a.kind == ADDR_IP && mesh_owner(p->m, &a.ip) == MESH_NOBODY) {
		out->target = a.ip; /* nobody's: nothing leads there, which may be expected */
		return;
	}
	addr_host_text(&a, host, sizeof(host));
	if (mesh_parse_target(p, n, span_str(host), &place))
		out->target = place.prefix.ip;
}

static void expect_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_expect *out)
{
	const char *text = jnode_text(n, ""), *blank = strchr(text, ' '), *rest;

	out->at = jnode_at(n);
	out->text = text;
	out->from = MESH_NOBODY;
	rest = blank ? behind(blank + 1, "may") : NULL;
	out->may = rest && !behind(rest, "not");
	if (rest && !out->may)
		rest = behind(rest, "not");
	rest = rest ? behind(rest, "reach") : NULL;
	if (!rest) {
		jnode_error(n, "found \"%.80s\", %s", text, form);
		return;
	}
	out->from = mesh_find(p->m, span_of(text, (size_t)(blank - text)));
	if (out->from == MESH_NOBODY)
		jnode_error(n, "found \"%.*s\", expected the name of a node", (int)(blank - text),
			    text);
	target_parse(p, n, rest, out);
}

void mesh_parse_expect(struct mesh_parser *p, const struct jnode *list)
{
	struct jnode it;

	p->m->expects = conf_arena_array(p->ld.arena, jnode_count(list), sizeof(*p->m->expects));
	if (!p->m->expects)
		return;
	jnode_each(it, list) expect_parse(p, &it, &p->m->expects[p->m->n_expects++]);
}
