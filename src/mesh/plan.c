#include "mesh/plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* ---- addresses ---- */

/* The part of an address in which one counts: all of IPv4, half of IPv6. */
static uint64_t low_get(const struct ip *ip)
{
	uint64_t v = 0;

	for (int i = ip->family == 4 ? 0 : 8; i < (ip->family == 4 ? 4 : 16); i++)
		v = v << 8 | ip->b[i];
	return v;
}

static void low_set(struct ip *ip, uint64_t v)
{
	for (int i = (ip->family == 4 ? 4 : 16) - 1; i >= (ip->family == 4 ? 0 : 8); i--) {
		ip->b[i] = (uint8_t)v;
		v >>= 8;
	}
}

int mesh_next_ip(const struct mesh *m, enum mesh_kind kind, int family, struct ip *out)
{
	struct prefix range = mesh_kind_range(m, kind, family);
	struct prefix all = family == 4 ? m->range4 : m->range6;
	uint64_t top = low_get(&range.ip);
	struct ip ip = range.ip;

	if (range.ip.family == 0)
		return -ERR_UNSUPPORTED;
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct ip *used = family == 4 ? &m->nodes[i].ip4 : &m->nodes[i].ip6;

		if (used->family && prefix_has(&range, used) && low_get(used) > top)
			top = low_get(used);
	}
	low_set(&ip, top + 1);
	if (!prefix_has(&range, &ip) || !prefix_has(&all, &ip))
		return -ERR_LIMIT;
	*out = ip;
	return 0;
}

/* The part of a prefix in which one counts: all of IPv4, the first half of IPv6. */
static uint64_t high_get(const struct ip *ip)
{
	uint64_t v = 0;

	for (int i = 0; i < (ip->family == 4 ? 4 : 8); i++)
		v = v << 8 | ip->b[i];
	return v;
}

static void high_set(struct ip *ip, uint64_t v)
{
	for (int i = (ip->family == 4 ? 4 : 8) - 1; i >= 0; i--) {
		ip->b[i] = (uint8_t)v;
		v >>= 8;
	}
}

int mesh_next_prefix(const struct mesh *m, const struct prefix *real, size_t skip,
		     struct prefix *out)
{
	/* In the ULA nodes' own addresses are in the first /64s. */
	const uint64_t first6 = 0x1000;
	bool v4 = real->ip.family == 4;
	const struct prefix *range = v4 ? &m->mapped : &m->range6;
	unsigned bits = v4 ? 32 : 64;
	uint64_t size, next;

	if (range->ip.family == 0 || real->len > bits)
		return -ERR_UNSUPPORTED;
	if (real->len < range->len)
		return -ERR_LIMIT;
	size = 1ull << (bits - real->len);
	next = high_get(&range->ip) + (v4 ? size : first6);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].n_lans; k++) {
			const struct prefix *seen = &m->nodes[i].lans[k].seen;
			uint64_t end;

			if (seen->ip.family != range->ip.family || !prefix_has(range, &seen->ip))
				continue;
			end = high_get(&seen->ip) + (1ull << (bits - seen->len));
			if (end > next)
				next = end;
		}
	next = (next + size - 1) / size * size + skip * size;
	out->ip = range->ip;
	out->len = real->len;
	high_set(&out->ip, next);
	return prefix_has(range, &out->ip) ? 0 : -ERR_LIMIT;
}

/* ---- the text of the file ---- */

/* A walk over JSON with comments, as far as objects at the top are concerned. */
struct walk {
	const char *p;
	size_t n, at;
	size_t last; /* the last byte that is no blank and no comment */
};

static void skip_comment(struct walk *w)
{
	bool block = w->p[w->at] == '/' && w->at + 1 < w->n && w->p[w->at + 1] == '*';

	if (block) {
		w->at += 2;
		while (w->at + 1 < w->n && !(w->p[w->at] == '*' && w->p[w->at + 1] == '/'))
			w->at++;
		w->at += 2;
		return;
	}
	while (w->at < w->n && w->p[w->at] != '\n')
		w->at++;
}

/* At the next byte that means something; false at the end. */
static bool settle(struct walk *w)
{
	while (w->at < w->n) {
		char c = w->p[w->at];

		if (c == '#' || (c == '/' && w->at + 1 < w->n &&
				 (w->p[w->at + 1] == '/' || w->p[w->at + 1] == '*')))
			skip_comment(w);
		else if (isspace((unsigned char)c))
			w->at++;
		else
			return true;
	}
	return false;
}

/* Over one token: a string, or a single byte. */
static void step(struct walk *w)
{
	if (w->p[w->at] == '"')
		for (w->at++; w->at < w->n && w->p[w->at] != '"'; w->at++)
			w->at += w->p[w->at] == '\\';
	w->last = w->at < w->n ? w->at : w->n - 1;
	w->at++;
}

/* The place of the closing bracket that belongs to the opening one at @open; @last is what
 * stands before it. */
static bool close_of(struct walk *w, size_t open, size_t *last)
{
	int depth = 0;

	w->at = open;
	while (settle(w)) {
		char c = w->p[w->at];

		if (c == '}' || c == ']') {
			depth--;
			if (depth == 0) {
				*last = w->last;
				return true;
			}
		}
		depth += c == '{' || c == '[';
		step(w);
	}
	return false;
}

/* The opening brace of the member @section of the outermost object, or 0. */
static size_t find_section(struct walk *w, const char *section)
{
	size_t n = strlen(section);
	int depth = 0;

	w->at = 0;
	while (settle(w)) {
		size_t begin = w->at;
		char c = w->p[begin];

		step(w);
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (depth != 1 || c != '"' || w->at - begin != n + 2 ||
		    strncasecmp(w->p + begin + 1, section, n) != 0)
			continue;
		if (!settle(w) || w->p[w->at] != ':')
			continue;
		step(w);
		if (settle(w) && w->p[w->at] == '{')
			return w->at;
	}
	return 0;
}

/* Each line of @text behind @indent blanks. */
static void put_lines(FILE *f, const char *text, int indent)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		fprintf(f, "%*s%.*s\n", indent, "", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static char *insert_at(struct span in, size_t last, size_t close, const char *text, int indent)
{
	const char *p = (const char *)in.p;
	bool first = p[last] == '{' || p[last] == ',';
	size_t tail = close, n = 0;
	char *out = NULL;
	FILE *f = open_memstream(&out, &n);

	if (!f)
		return NULL;
	/* The closing brace's own line keeps its indentation. */
	while (tail > last + 1 && (p[tail - 1] == ' ' || p[tail - 1] == '\t'))
		tail--;
	fwrite(p, 1, last + 1, f);
	if (!first)
		fputc(',', f);
	fwrite(p + last + 1, 1, tail - last - 1, f);
	if (tail == 0 || p[tail - 1] != '\n')
		fputc('\n', f);
	put_lines(f, text, indent);
	if (p[tail] == '}')
		fprintf(f, "%*s", indent - 2, "");
	fwrite(p + tail, 1, in.n - tail, f);
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

char *mesh_insert(struct span in, const char *section, const char *text)
{
	struct walk w = {.p = (const char *)in.p, .n = in.n};
	size_t open = find_section(&w, section), last = 0, close;
	char *whole = NULL, *out;

	if (in.n == 0 || memchr(in.p, 0, in.n)) /* no text */
		return NULL;
	if (open) {
		if (!close_of(&w, open, &last))
			return NULL;
		return insert_at(in, last, w.at, text, 4);
	}
	w.at = 0;
	if (!settle(&w) || w.p[w.at] != '{' || !close_of(&w, w.at, &last))
		return NULL;
	close = w.at;
	if (asprintf(&whole, "\"%s\": {\n  %s\n}", section, text) == -1)
		return NULL;
	out = insert_at(in, last, close, whole, 2);
	free(whole);
	return out;
}
