#include "conf/shape.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/siphash.h"

enum { WAY_MAX = 128, NAME_MAX_ = 96 };

/* Below an inbound or an outbound: what may change while it runs. */
struct open_keys {
	const char *protocol;
	const char *ways[4]; /* NULL ends them */
};

static const struct open_keys in_keys = {
	"vless",
	{"settings.clients", "settings.users", "streamSettings.realitySettings.shortIds", NULL}};
static const struct open_keys out_keys = {"dns", {"settings.zones", "settings.hosts", NULL}};

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	uint8_t seed[SIPHASH_SEED] = {0};

	memcpy(seed, &h, sizeof(h));
	return siphash(seed, span_of(p, n));
}

static bool is_open(const struct open_keys *open, const char *way)
{
	for (size_t i = 0; open && open->ways[i]; i++)
		if (strcasecmp(way, open->ways[i]) == 0)
			return true;
	return false;
}

static uint64_t digest(uint64_t h, const cJSON *v, const struct open_keys *open, const char *way)
{
	h = mix(h, &v->type, sizeof(v->type));
	if (cJSON_IsString(v))
		h = mix(h, v->valuestring, strlen(v->valuestring));
	if (cJSON_IsNumber(v))
		h = mix(h, &v->valuedouble, sizeof(v->valuedouble));
	for (const cJSON *c = v->child; c; c = c->next) {
		char below[WAY_MAX] = "";

		if (c->string)
			snprintf(below, sizeof(below), "%s%s%s", way, *way ? "." : "", c->string);
		if (c->string && is_open(open, below))
			continue;
		if (c->string)
			h = mix(h, c->string, strlen(c->string));
		h = digest(h, c, open, below);
	}
	return mix(h, "", 0); /* the end of it */
}

static const cJSON *member(const cJSON *o, const char *key)
{
	return cJSON_IsObject(o) ? cJSON_GetObjectItem(o, key) : NULL;
}

static const cJSON *users_of(const cJSON *inbound)
{
	const cJSON *settings = member(inbound, "settings");
	const cJSON *list = member(settings, "clients");

	return list ? list : member(settings, "users");
}

static void take_users(struct load *ld, const cJSON *list, struct conf_shape_part *part)
{
	int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
	uint64_t *v = conf_arena_array(ld->arena, (size_t)n, sizeof(*v));
	const cJSON *u;

	if (!v || n == 0)
		return;
	cJSON_ArrayForEach(u, list)
		v[part->n_users++] = digest(0, u, NULL, "");
	part->users = v;
}

static void take_items(struct load *ld, const char *list, const struct merged_list *items,
		       const struct open_keys *keys, struct conf_shape_part *parts)
{
	for (size_t i = 0; i < items->n; i++) {
		const cJSON *v = items->v[i].v, *protocol = member(v, "protocol");
		const cJSON *tag = member(v, "tag");
		bool open = cJSON_IsString(protocol) &&
			    strcasecmp(protocol->valuestring, keys->protocol) == 0;
		char name[NAME_MAX_];

		snprintf(name, sizeof(name), "%s[%zu]%s%s%s", list, i,
			 cJSON_IsString(tag) ? " (" : "",
			 cJSON_IsString(tag) ? tag->valuestring : "", cJSON_IsString(tag) ? ")" : "");
		parts[i].name = conf_arena_text(ld->arena, span_str(name));
		parts[i].whole = digest(0, v, NULL, "");
		parts[i].digest = open ? digest(0, v, keys, "") : parts[i].whole;
		if (open && keys == &in_keys)
			take_users(ld, users_of(v), &parts[i]);
	}
}

/* It is no section: what is set at the start. */
static void take_env(const struct conf *c, struct conf_shape_part *part)
{
	part->name = "env";
	for (size_t i = 0; i < c->n_env; i++) {
		part->digest = mix(part->digest, c->env[i].name, strlen(c->env[i].name));
		part->digest = mix(part->digest, c->env[i].value, strlen(c->env[i].value));
	}
	part->whole = part->digest;
}

void conf_shape_take(struct load *ld, const struct merged *m)
{
	size_t n = SEC_COUNT + m->inbounds.n + m->outbounds.n + 1;
	struct conf_shape_part *v = conf_arena_array(ld->arena, n, sizeof(*v));
	struct conf_shape *shape = conf_arena_array(ld->arena, 1, sizeof(*shape));

	if (!v || !shape)
		return;
	for (size_t i = 0; i < SEC_COUNT; i++) {
		v[i].name = merge_section_name(i);
		if (m->section[i].v)
			v[i].whole = digest(0, m->section[i].v, NULL, "");
		v[i].digest = i == SEC_ROUTING ? 0 : v[i].whole;
	}
	take_items(ld, "inbounds", &m->inbounds, &in_keys, v + SEC_COUNT);
	take_items(ld, "outbounds", &m->outbounds, &out_keys, v + SEC_COUNT + m->inbounds.n);
	take_env(ld->conf, v + n - 1);
	*shape = (struct conf_shape){v, n};
	ld->conf->shape = shape;
}

static bool keeps_users(const struct conf_shape_part *was, const struct conf_shape_part *is)
{
	for (size_t i = 0; i < was->n_users; i++) {
		size_t k = 0;

		while (k < is->n_users && is->users[k] != was->users[i])
			k++;
		if (k == is->n_users)
			return false;
	}
	return true;
}

bool conf_shape_same(const struct conf *a, const struct conf *b)
{
	const struct conf_shape *x = a->shape, *y = b->shape;

	for (size_t i = 0; i < x->n && i < y->n; i++)
		if (x->v[i].whole != y->v[i].whole)
			return false;
	return x->n == y->n;
}

static const struct conf_shape_part *find(const struct conf_shape *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

bool conf_shape_allows(const struct conf *running, const struct conf *next, char *why, size_t cap)
{
	const struct conf_shape *was = running->shape, *is = next->shape;

	for (size_t i = 0; i < was->n; i++) {
		const struct conf_shape_part *a = &was->v[i], *b = find(is, a->name);
		const char *fault = !b ? "is gone" : a->digest != b->digest ? "has changed" :
				    !keeps_users(a, b) ? "has lost a user, or one has changed" : NULL;

		if (fault) {
			snprintf(why, cap, "%s %s", a->name, fault);
			return false;
		}
	}
	for (size_t i = 0; i < is->n; i++) {
		if (!find(was, is->v[i].name)) {
			snprintf(why, cap, "%s is new", is->v[i].name);
			return false;
		}
	}
	return true;
}
