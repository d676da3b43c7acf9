#include "conf/jnode.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/msg.h"

/* ---- messages ---- */

static bool plain_key(const char *key)
{
	if (*key == 0)
		return false;
	for (; *key; key++)
		if (!isalnum((unsigned char)*key) && *key != '_' && *key != '-')
			return false;
	return true;
}

char *jnode_path(const struct jnode *n, char *out, size_t cap)
{
	size_t len;

	if (!n->up) {
		out[0] = 0;
		return out;
	}
	jnode_path(n->up, out, cap);
	len = strlen(out);
	if (n->index >= 0)
		snprintf(out + len, cap - len, "[%d]", n->index);
	else if (plain_key(n->key))
		snprintf(out + len, cap - len, "%s%s", len ? "." : "", n->key);
	else
		snprintf(out + len, cap - len, "[\"%.40s\"]", n->key);
	return out;
}

static int line_of(const struct jnode *n)
{
	while (n && !n->v)
		n = n->up;
	return n ? json_line(n->doc, n->v) : 0;
}

struct conf_at jnode_at(const struct jnode *n)
{
	char path[PATH_MAX_TEXT];

	return (struct conf_at){
		.file = n->doc->file,
		.line = line_of(n),
		.path = conf_arena_text(n->ld->arena, span_str(jnode_path(n, path, sizeof(path)))),
	};
}

static void __attribute__((format(printf, 3, 0)))
tell(const struct jnode *n, enum conf_msg_level level, const char *fmt, va_list ap)
{
	char path[PATH_MAX_TEXT];
	struct conf_at at = {n->doc->file, line_of(n), jnode_path(n, path, sizeof(path))};

	conf_msg_addv(n->ld->msgs, level, &at, 0, fmt, ap);
}

void jnode_error(const struct jnode *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(n, CONF_MSG_ERROR, fmt, ap);
	va_end(ap);
}

void jnode_warn(const struct jnode *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(n, CONF_MSG_WARNING, fmt, ap);
	va_end(ap);
}

/* Quoted, without control characters, cut with dots. */
static void quote(const char *text, char *out, size_t cap)
{
	size_t n = 0;

	out[n++] = '"';
	while (*text && n + 6 < cap) {
		out[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
		text++;
	}
	snprintf(out + n, cap - n, "%s", *text ? "...\"" : "\"");
}

char *jnode_found(const struct jnode *n, char *out, size_t cap)
{
	if (!n->v || cJSON_IsNull(n->v))
		snprintf(out, cap, "nothing");
	else if (cJSON_IsString(n->v))
		quote(n->v->valuestring, out, cap);
	else if (cJSON_IsNumber(n->v))
		snprintf(out, cap, "%.15g", n->v->valuedouble);
	else if (cJSON_IsBool(n->v))
		snprintf(out, cap, "%s", cJSON_IsTrue(n->v) ? "true" : "false");
	else
		snprintf(out, cap, "%s", cJSON_IsArray(n->v) ? "a list" : "an object");
	return out;
}

static void error_type(const struct jnode *n, const char *expected)
{
	char found[FOUND_MAX];

	jnode_error(n, "found %s, expected %s", jnode_found(n, found, sizeof(found)), expected);
}

/* ---- names that are near ---- */

enum { NAME_MAX_COMPARED = 40 };

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance without regard to case; both at most NAME_MAX_COMPARED bytes. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1], nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < nb; j++) {
			size_t above = row[j + 1];
			bool same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);

			row[j + 1] = min3(above + 1, row[j] + 1, diagonal + !same);
			diagonal = above;
		}
	}
	return row[nb];
}

const char *word_nearest(const char *text, const char *const *names, size_t n)
{
	size_t len = strlen(text), best = len / 3 + 1;
	const char *found = NULL;

	if (len == 0 || len > NAME_MAX_COMPARED)
		return NULL;
	if (best >= len)
		best = len - 1;
	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (strlen(names[i]) > NAME_MAX_COMPARED)
			continue;
		d = distance(text, names[i]);
		if (d <= best && d > 0) {
			best = d - 1;
			found = names[i];
		}
	}
	return found;
}

/* ---- structure ---- */

static bool is_nothing(const cJSON *v)
{
	if (cJSON_IsNull(v) || cJSON_IsFalse(v))
		return true;
	if (cJSON_IsString(v))
		return v->valuestring[0] == 0;
	if (cJSON_IsNumber(v))
		return v->valuedouble == 0;
	return (cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child;
}

static struct jnode member(const struct jnode *obj, const cJSON *v)
{
	return (struct jnode){obj->ld, obj->doc, v, obj, v->string, -1};
}

static void report_unknown(const struct jnode *n, const struct key *keys)
{
	const char *names[128], *near;
	size_t count = 0;

	for (const struct key *k = keys; k->name && count < 128; k++)
		if (k->kind == KEY_KNOWN)
			names[count++] = k->name;
	near = word_nearest(n->key, names, count);
	if (n->ld->strict && near)
		jnode_error(n, "unknown key; did you mean \"%s\"?", near);
	else if (n->ld->strict)
		jnode_error(n, "unknown key");
	else if (near)
		jnode_warn(n, "unknown key, ignored; did you mean \"%s\"?", near);
	else
		jnode_warn(n, "unknown key, ignored");
}

static void check_key(const struct jnode *n, const struct key *keys)
{
	const struct key *k = keys;

	while (k->name && strcasecmp(k->name, n->key) != 0)
		k++;
	if (!k->name)
		report_unknown(n, keys);
	else if (k->kind == KEY_REFUSED && !is_nothing(n->v))
		jnode_error(n, "%s", k->why);
	else if (k->kind == KEY_NO_EFFECT && !is_nothing(n->v))
		jnode_warn(n, "%s", k->why);
}

static int by_key(const void *a, const void *b)
{
	const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
	int c = strcmp(x->string, y->string);

	return c ? c : (x->valueint > y->valueint) - (x->valueint < y->valueint);
}

static int by_key_any_case(const void *a, const void *b)
{
	const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
	int c = strcasecmp(x->string, y->string);

	return c ? c : (x->valueint > y->valueint) - (x->valueint < y->valueint);
}

/* What a later member overrules counts as absent from now on. */
static void overrule(cJSON *v)
{
	if (v->valuestring)
		explicit_bzero(v->valuestring, strlen(v->valuestring));
	v->type = cJSON_NULL;
}

static void drop_duplicates(const struct jnode *obj, bool any_case)
{
	size_t n = 0;
	cJSON **sorted;

	for (cJSON *v = obj->v->child; v; v = v->next)
		n++;
	if (n < 2)
		return;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return; /* the later one still counts where members are looked up by name */
	n = 0;
	for (cJSON *v = obj->v->child; v; v = v->next)
		if (!cJSON_IsNull(v))
			sorted[n++] = v;
	qsort(sorted, n, sizeof(*sorted), any_case ? by_key_any_case : by_key);
	for (size_t i = 1; i < n; i++) {
		struct jnode m = member(obj, sorted[i]);
		cJSON *before = sorted[i - 1];

		if ((any_case ? strcasecmp : strcmp)(before->string, sorted[i]->string) != 0)
			continue;
		if (m.ld->strict)
			jnode_error(&m, "is given twice, first at line %d",
				    json_line(obj->doc, before));
		else
			jnode_warn(&m, "is given twice; line %d is overruled by this one",
				   json_line(obj->doc, before));
		overrule(before);
	}
	free(sorted);
}

static bool is_object(const struct jnode *n)
{
	if (!n->v || cJSON_IsNull(n->v))
		return false;
	if (cJSON_IsObject(n->v))
		return true;
	error_type(n, "an object { }");
	return false;
}

bool jnode_object(const struct jnode *n, const struct key *keys)
{
	if (!is_object(n))
		return false;
	for (const cJSON *v = n->v->child; v; v = v->next) {
		struct jnode m = member(n, v);

		check_key(&m, keys);
	}
	drop_duplicates(n, true);
	return true;
}

bool jnode_map(const struct jnode *n)
{
	if (!is_object(n))
		return false;
	drop_duplicates(n, false);
	return true;
}

static const cJSON *find_member(const cJSON *obj, const char *key)
{
	const cJSON *last = NULL;

	for (const cJSON *v = obj->child; v; v = v->next)
		if (strcasecmp(v->string, key) == 0)
			last = v;
	return last;
}

bool jnode_get(const struct jnode *obj, const char *key, struct jnode *out)
{
	const cJSON *v = NULL;

	if (obj->v && cJSON_IsObject(obj->v))
		v = find_member(obj->v, key);
	*out = (struct jnode){obj->ld, obj->doc, NULL, obj, key, -1};
	if (!v || cJSON_IsNull(v))
		return false;
	out->v = v;
	out->key = v->string;
	return true;
}

bool jnode_get2(const struct jnode *obj, const char *winner, const char *loser, struct jnode *out)
{
	struct jnode other;
	bool both = jnode_get(obj, loser, &other);

	if (!jnode_get(obj, winner, out)) {
		if (both)
			*out = other;
		return both;
	}
	if (both)
		jnode_warn(&other, "has no effect beside \"%s\", which means the same", winner);
	return true;
}

/* In an object null is no member; in a list it keeps its place. */
static bool settle(struct jnode *it)
{
	while (it->v && it->index < 0 && cJSON_IsNull(it->v))
		it->v = it->v->next;
	if (it->v && it->index < 0)
		it->key = it->v->string;
	return it->v != NULL;
}

bool jnode_first(const struct jnode *list, struct jnode *out)
{
	bool array = list->v && cJSON_IsArray(list->v);

	*out = (struct jnode){list->ld, list->doc, NULL, list, "", array ? 0 : -1};
	if (!list->v || (!array && !cJSON_IsObject(list->v)))
		return false;
	out->v = list->v->child;
	return settle(out);
}

bool jnode_next(struct jnode *it)
{
	it->v = it->v->next;
	if (it->index >= 0)
		it->index++;
	return settle(it);
}

size_t jnode_count(const struct jnode *list)
{
	size_t n = 0;

	if (!list->v || cJSON_IsNull(list->v))
		return 0;
	if (!cJSON_IsArray(list->v)) {
		error_type(list, "a list [ ]");
		return 0;
	}
	for (const cJSON *v = list->v->child; v; v = v->next)
		n++;
	return n;
}

size_t jnode_members(const struct jnode *map)
{
	struct jnode it;
	size_t n = 0;

	if (map->v && cJSON_IsObject(map->v))
		jnode_each(it, map) n++;
	return n;
}

/* ---- scalars ---- */

const char *jnode_text(const struct jnode *n, const char *def)
{
	if (!n->v || cJSON_IsNull(n->v))
		return def;
	if (!cJSON_IsString(n->v)) {
		error_type(n, "text in quotes");
		return def;
	}
	return conf_arena_text(n->ld->arena, span_str(n->v->valuestring));
}

const char *jnode_str(const struct jnode *obj, const char *key, const char *def)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_text(&n, def);
}

const char *jnode_secret(const struct jnode *obj, const char *key)
{
	struct jnode n;

	if (!jnode_get(obj, key, &n))
		return "";
	if (cJSON_IsString(n.v))
		return conf_arena_text(n.ld->arena, span_str(n.v->valuestring));
	jnode_error(&n, "expected text in quotes");
	return "";
}

bool jnode_bool(const struct jnode *obj, const char *key, bool def)
{
	struct jnode n;

	if (!jnode_get(obj, key, &n))
		return def;
	if (!cJSON_IsBool(n.v)) {
		error_type(&n, "true or false");
		return def;
	}
	return cJSON_IsTrue(n.v);
}

int64_t jnode_integer(const struct jnode *n, int64_t lo, int64_t hi, int64_t def)
{
	char found[FOUND_MAX];
	double d;

	if (!n->v || cJSON_IsNull(n->v))
		return def;
	d = cJSON_IsNumber(n->v) ? n->v->valuedouble : NAN;
	if (!(d >= (double)lo && d <= (double)hi) || d != floor(d)) {
		jnode_error(n, "found %s, expected a whole number from %lld to %lld",
			    jnode_found(n, found, sizeof(found)), (long long)lo, (long long)hi);
		return def;
	}
	return (int64_t)d;
}

int64_t jnode_int(const struct jnode *obj, const char *key, int64_t lo, int64_t hi, int64_t def)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_integer(&n, lo, hi, def);
}

double jnode_double(const struct jnode *obj, const char *key, double lo, double hi, double def)
{
	struct jnode n;
	char found[FOUND_MAX];

	if (!jnode_get(obj, key, &n))
		return def;
	if (!cJSON_IsNumber(n.v) || !(n.v->valuedouble >= lo && n.v->valuedouble <= hi)) {
		jnode_error(&n, "found %s, expected a number from %g to %g",
			    jnode_found(&n, found, sizeof(found)), lo, hi);
		return def;
	}
	return n.v->valuedouble;
}

int word_find(const struct word *words, const char *text)
{
	for (; words->name; words++)
		if (strcasecmp(words->name, text) == 0)
			return words->value;
	return -1;
}

char *word_list(const struct word *words, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = 0;
	for (const struct word *w = words; w->name && n + 1 < cap; w++) {
		if (*w->name == 0)
			continue;
		snprintf(out + n, cap - n, "%s%s", n ? ", " : "", w->name);
		n += strlen(out + n);
	}
	return out;
}

int jnode_word(const struct jnode *obj, const char *key, const struct word *words, int def)
{
	struct jnode n;
	char found[FOUND_MAX], list[400];
	int value = -1;

	if (!jnode_get(obj, key, &n))
		return def;
	if (cJSON_IsString(n.v))
		value = word_find(words, n.v->valuestring);
	if (value >= 0)
		return value;
	jnode_error(&n, "found %s, expected one of: %s", jnode_found(&n, found, sizeof(found)),
		    word_list(words, list, sizeof(list)));
	return def;
}
