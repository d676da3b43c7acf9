#include "app/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "crypto/uuid4.h"
#include "crypto/uuid5.h"

void convert_note(const char *fmt, ...)
{
	va_list ap;

	fputs("note: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

cJSON *convert_get(const cJSON *obj, const char *key)
{
	return cJSON_GetObjectItem(obj, key);
}

void convert_drop(cJSON *obj, const char *key)
{
	cJSON_DeleteItemFromObject(obj, key);
}

bool convert_has(const struct conf_strs *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], text) == 0)
			return true;
	return false;
}

/* ---- names in rules ---- */

static bool means(const char *condition, const char *domain)
{
	if (strncasecmp(condition, "full:", 5) == 0)
		condition += 5;
	else if (strncasecmp(condition, "domain:", 7) == 0)
		condition += 7;
	return strcasecmp(condition, domain) == 0;
}

bool convert_names_domain(const struct conf_rule *r, const char *domain)
{
	for (size_t i = 0; i < r->domains.n; i++)
		if (means(r->domains.v[i], domain))
			return true;
	return false;
}

/* True when the list, or single text, under @key held nothing else. */
static bool strip(cJSON *rule, const char *key, const char *domain)
{
	cJSON *v = convert_get(rule, key);
	bool found = false;

	if (cJSON_IsString(v))
		return means(v->valuestring, domain);
	for (int i = cJSON_GetArraySize(v) - 1; i >= 0; i--) {
		const cJSON *it = cJSON_GetArrayItem(v, i);

		if (cJSON_IsString(it) && means(it->valuestring, domain)) {
			cJSON_DeleteItemFromArray(v, i);
			found = true;
		}
	}
	return found && cJSON_GetArraySize(v) == 0;
}

bool convert_strip_domain(cJSON *rule, const char *domain)
{
	bool both = strip(rule, "domain", domain);

	return strip(rule, "domains", domain) || both;
}

/* ---- pairs ---- */

static struct convert_link *find_link(struct convert *c, const char *domain)
{
	for (size_t i = 0; i < c->n_links; i++)
		if (strcmp(c->links[i].domain, domain) == 0)
			return &c->links[i];
	return NULL;
}

static struct convert_link *add_link(struct convert *c, const char *domain, const char *tag)
{
	struct convert_link *l = find_link(c, domain);
	struct uuid u;

	if (l) {
		fprintf(stderr,
			"garenne convert: two tags for the domain %s: which bridge belongs "
			"to which portal cannot be told\n",
			domain);
		return NULL;
	}
	if (c->n_links == CONVERT_LINKS_MAX || uuid4_make(&u) != 0) {
		fprintf(stderr, "garenne convert: too many portals or bridges\n");
		return NULL;
	}
	l = &c->links[c->n_links++];
	*l = (struct convert_link){.domain = domain, .tag = tag};
	uuid_text(&u, l->id);
	return l;
}

static int link_bridges(struct convert *c)
{
	const struct conf_reverse *r = &c->bridge_conf->reverse;

	for (size_t i = 0; i < r->n_bridges; i++) {
		const struct conf_bridge *b = &r->bridges[i];
		struct convert_link *l = find_link(c, b->domain);

		if (!l && c->portal_conf) {
			fprintf(stderr,
				"garenne convert: bridge %s asks for %s, but no portal has this "
				"domain (letter case counts)\n",
				b->tag, b->domain);
			return -ERR_MALFORMED;
		}
		if (l && l->bridge_tag) {
			fprintf(stderr, "garenne convert: two bridges for the domain %s\n",
				b->domain);
			return -ERR_MALFORMED;
		}
		if (!l)
			l = add_link(c, b->domain, b->tag);
		if (!l)
			return -ERR_MALFORMED;
		l->bridge_tag = b->tag;
	}
	return 0;
}

int convert_link_all(struct convert *c, const char *id)
{
	struct uuid u;

	if (c->portal_conf)
		for (size_t i = 0; i < c->portal_conf->reverse.n_portals; i++) {
			const struct conf_portal *p = &c->portal_conf->reverse.portals[i];

			if (!add_link(c, p->domain, p->tag))
				return -ERR_MALFORMED;
		}
	if (c->bridge_conf && link_bridges(c) != 0)
		return -ERR_MALFORMED;
	if (id && c->n_links) {
		if (uuid5_parse(&u, span_str(id)) != 0) {
			fprintf(stderr, "garenne convert: -id: no UUID: %s\n", id);
			return -ERR_MALFORMED;
		}
		uuid_text(&u, c->links[0].id);
	}
	return 0;
}
