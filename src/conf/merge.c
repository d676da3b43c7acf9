#include "conf/merge.h"

#include <string.h>
#include <strings.h>

static const char *const section_keys[SEC_COUNT] = {
	[SEC_LOG] = "log",
	[SEC_ROUTING] = "routing",
	[SEC_DNS] = "dns",
	[SEC_POLICY] = "policy",
	[SEC_API] = "api",
	[SEC_METRICS] = "metrics",
	[SEC_STATS] = "stats",
	[SEC_REVERSE] = "reverse",
	[SEC_OBSERVATORY] = "observatory",
	[SEC_BURST] = "burstObservatory",
	[SEC_VERSION] = "version",
	[SEC_CONTROL] = "control",
	[SEC_WORKERS] = "workers",
};

const char *merge_section_name(enum section s)
{
	return section_keys[s];
}

static const char old_lists[] =
	"belongs to very old files and would be ignored, use \"inbounds\" and \"outbounds\"";

static const struct key top_keys[] = {
	KNOWN("log"),
	KNOWN("routing"),
	KNOWN("dns"),
	KNOWN("inbounds"),
	KNOWN("outbounds"),
	KNOWN("policy"),
	KNOWN("stats"),
	KNOWN("api"),
	KNOWN("reverse"),
	KNOWN("env"),
	KNOWN("observatory"),
	KNOWN("burstObservatory"),
	KNOWN("metrics"),
	KNOWN("version"),
	KNOWN("control"),
	KNOWN("workers"),
	{"fakeDns", KEY_NO_EFFECT, "has no effect: fake addresses are not supported"},
	{"geodata", KEY_NO_EFFECT, "has no effect: geo files are not downloaded"},
	{"transport", KEY_REFUSED,
	 "The feature Global transport config has been removed and migrated to streamSettings in "
	 "inbounds and outbounds."},
	{"inbound", KEY_REFUSED, old_lists},
	{"outbound", KEY_REFUSED, old_lists},
	{"inboundDetour", KEY_REFUSED, old_lists},
	{"outboundDetour", KEY_REFUSED, old_lists},
	KEYS_END,
};

/* A node that outlives this call: items point to it as the list they stand in. */
static struct jnode *keep(const struct jnode *n)
{
	struct jnode *kept = conf_arena_array(n->ld->arena, 1, sizeof(*kept));

	if (kept)
		*kept = *n;
	return kept;
}

static const char *tag_of(const cJSON *item)
{
	const cJSON *tag = NULL;

	for (const cJSON *v = cJSON_IsObject(item) ? item->child : NULL; v; v = v->next)
		if (strcasecmp(v->string, "tag") == 0)
			tag = v;
	return cJSON_IsString(tag) ? tag->valuestring : "";
}

/* The first of the @n items with this tag; no tag counts as a tag of its own. */
static size_t find_tag(const struct merged_list *l, size_t n, const char *tag)
{
	size_t i = 0;

	while (i < n && strcmp(tag_of(l->v[i].v), tag) != 0)
		i++;
	return i;
}

struct jnode merged_node(const struct merged_item *m)
{
	return (struct jnode){m->list->ld, m->list->doc, m->v, m->list, "", m->index};
}

static void replace(struct merged_item *old, const struct merged_item *new)
{
	struct jnode n = merged_node(new);

	if (*tag_of(new->v) == 0)
		jnode_warn(&n, "has no tag and so replaces the one without tag at %s:%d",
			   old->list->doc->file, json_line(old->list->doc, old->v));
	*old = *new;
}

static bool is_tail(const char *file)
{
	const char *slash = strrchr(file, '/');

	return strcasestr(slash ? slash + 1 : file, "tail") != NULL;
}

static void warn_default(const struct merged_list *l, const struct merged_item *old)
{
	struct jnode n = merged_node(&l->v[0]);

	jnode_warn(&n,
		   "outbound \"%.60s\" becomes the default instead of \"%.60s\" of %s, because "
		   "this file is later and its name does not contain \"tail\"",
		   tag_of(l->v[0].v), tag_of(old->v), old->list->doc->file);
}

/* Lays the elements of @list over @l; new ones go in front if @front. */
static void merge_list(const struct jnode *list, struct merged_list *l, bool front)
{
	struct jnode *kept = keep(list), it;
	size_t count = jnode_count(list), before = l->n, fresh = 0;
	struct merged_item *added, *all;

	added = conf_arena_array(list->ld->arena, count, sizeof(*added));
	all = conf_arena_array(list->ld->arena, before + count, sizeof(*all));
	if (!kept || !added || !all)
		return;
	jnode_each(it, list)
	{
		struct merged_item item = {kept, it.v, it.index};
		size_t at = find_tag(l, before, tag_of(it.v));

		if (at < before)
			replace(&l->v[at], &item);
		else
			added[fresh++] = item;
	}
	for (size_t i = 0; i < before; i++)
		all[i + (front ? fresh : 0)] = l->v[i];
	for (size_t i = 0; i < fresh; i++)
		all[i + (front ? 0 : before)] = added[i];
	*l = (struct merged_list){all, before + fresh};
	if (front && fresh > 0 && before > 0)
		warn_default(l, &l->v[fresh]);
}

static void merge_section(const struct jnode *root, enum section s, struct merged *out)
{
	struct jnode *old = &out->section[s], n;

	if (!jnode_get(root, section_keys[s], &n))
		return;
	if (old->v && old->v->child && s != SEC_LOG)
		jnode_warn(&n, "replaces the whole section at %s:%d, nothing of that is kept",
			   old->doc->file, json_line(old->doc, old->v));
	*old = n;
}

/* Later values of a variable win, as everywhere. */
static void merge_env(const struct jnode *root)
{
	struct conf *c = root->ld->conf;
	struct conf_env *v;
	struct jnode map, it;
	size_t n, used = 0;

	jnode_get(root, "env", &map);
	if (!jnode_map(&map))
		return;
	n = jnode_members(&map);
	v = conf_arena_array(map.ld->arena, c->n_env + n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &map)
	{
		if (*it.key == 0 || strchr(it.key, '='))
			jnode_error(&it, "not a name of a variable");
		v[used].name = conf_arena_text(it.ld->arena, span_str(it.key));
		v[used++].value = jnode_text(&it, "");
	}
	if (c->n_env)
		memcpy(v + used, c->env, c->n_env * sizeof(*v));
	/* searched from the front: so this file's entries shadow the older ones */
	c->env = v;
	c->n_env += used;
}

void merge_docs(struct load *ld, const struct json_doc *docs, size_t n, struct merged *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		struct jnode root = {ld, &docs[i], docs[i].root, NULL, "", -1}, list;
		struct jnode *kept = keep(&root);

		if (!kept)
			return;
		if (i == 0)
			for (int s = 0; s < SEC_COUNT; s++)
				out->section[s] = (struct jnode){ld,   &docs[i],	NULL,
								 kept, section_keys[s], -1};
		if (!jnode_object(kept, top_keys)) {
			if (cJSON_IsNull(docs[i].root))
				jnode_error(kept, "found null, expected an object { }");
			continue;
		}
		for (int s = 0; s < SEC_COUNT; s++)
			merge_section(kept, (enum section)s, out);
		merge_env(kept);
		if (jnode_get(kept, "inbounds", &list))
			merge_list(&list, &out->inbounds, false);
		if (jnode_get(kept, "outbounds", &list))
			merge_list(&list, &out->outbounds, i > 0 && !is_tail(docs[i].file));
	}
}
