/*
 * Prefixes become disjoint ranges, ranges become a sorted array of edges: the
 * first address inside, the first one outside again, and so on. An address is in
 * the set when an odd number of edges is not above it.
 *
 * Counting them would be a binary search, slower with each prefix. Instead a
 * tree cuts the array: each inner node looks at the next few bits of the address
 * and has a child for each of their values, empty ones included, so that every
 * child knows how many edges are below it. A child with a handful of edges is a
 * leaf and is counted through. A node has between an eighth and a quarter as many
 * children as edges, and at least 16: the depth is bounded by the width of an
 * address and in practice is one to three, and the tree takes one or two bytes
 * per edge and level.
 *
 * The bits that all edges have in common are skipped at the root: an address
 * between the first and the last edge has them too.
 *
 * Addresses are arrays of 32-bit words in host order, one or four of them.
 */
#include "route/ipset.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"

enum {
	WORDS_MAX = 4,
	LEAF_MAX = 12,	/* edges that are counted one by one */
	BRANCH_MIN = 4, /* bits that a node looks at */
	BRANCH_MAX = 20,
	COUNT_MAX = 1 << 30,
};

struct node {
	uint32_t first; /* inner: its first child; leaf: the number of edges below it */
	uint16_t n;	/* leaf: its edges */
	uint8_t branch; /* inner: bits looked at; leaf: 0 */
	uint8_t pos;	/* inner: where they are, from the left */
};

/* One family. While filling @words holds ranges, two addresses each; later edges. */
struct half {
	uint32_t *words;
	struct node *nodes;
	uint32_t n, cap; /* addresses in @words */
	uint32_t n_nodes, cap_nodes;
	uint32_t width; /* words of an address */
	bool given;
};

struct ipset {
	struct half v4, v6;
};

struct ipset *ipset_new(void)
{
	struct ipset *s = calloc(1, sizeof(*s));

	if (s) {
		s->v4.width = 1;
		s->v6.width = 4;
	}
	return s;
}

void ipset_free(struct ipset *s)
{
	if (!s)
		return;
	free(s->v4.words);
	free(s->v4.nodes);
	free(s->v6.words);
	free(s->v6.nodes);
	free(s);
}

static void ip_words(uint32_t out[WORDS_MAX], const struct ip *ip, uint32_t width)
{
	for (uint32_t i = 0; i < width; i++) {
		struct rd r = rd_of(span_of(ip->b + 4 * i, 4));

		out[i] = rd_u32(&r);
	}
}

static uint32_t *addr_at(const struct half *h, uint32_t i)
{
	return h->words + (size_t)i * h->width;
}

static int addr_cmp(const uint32_t *a, const uint32_t *b, uint32_t width)
{
	for (uint32_t i = 0; i < width; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* Adds one; false when there is no next address. */
static bool addr_next(uint32_t *a, uint32_t width)
{
	for (uint32_t i = width; i > 0; i--)
		if (++a[i - 1] != 0)
			return true;
	return false;
}

static int room(struct half *h)
{
	uint32_t cap = h->cap ? h->cap * 2 : 8;
	uint32_t *words;

	if (h->cap - h->n >= 2)
		return 0;
	if (h->n >= COUNT_MAX)
		return -ERR_LIMIT;
	words = realloc(h->words, (size_t)cap * h->width * sizeof(*words));
	if (!words)
		return -ERR_NOMEM;
	h->words = words;
	h->cap = cap;
	return 0;
}

int ipset_add(struct ipset *s, const struct prefix *p)
{
	struct half *h = p->ip.family == 4 ? &s->v4 : &s->v6;
	uint32_t *from, *to;
	int err = room(h);

	if (err)
		return err;
	from = addr_at(h, h->n);
	to = addr_at(h, h->n + 1);
	ip_words(from, &p->ip, h->width);
	for (uint32_t i = 0; i < h->width; i++) {
		unsigned kept = p->len > 32 * i ? p->len - 32 * i : 0;
		uint32_t host = kept >= 32 ? 0 : UINT32_MAX >> kept;

		from[i] &= ~host;
		to[i] = from[i] | host;
	}
	h->n += 2;
	h->given = true;
	return 0;
}

static int cmp_v4(const void *a, const void *b)
{
	return addr_cmp(a, b, 1);
}

static int cmp_v6(const void *a, const void *b)
{
	return addr_cmp(a, b, 4);
}

/* Ranges, sorted by their beginnings, become edges in the same memory. */
static void ranges_to_edges(struct half *h)
{
	size_t size = h->width * sizeof(*h->words);
	uint32_t out = 0;
	uint32_t end[WORDS_MAX]; /* first address after the open range */
	bool open = false, endless = false;

	for (uint32_t i = 0; i < h->n && !endless; i += 2) {
		uint32_t from[WORDS_MAX], next[WORDS_MAX];
		bool last;

		memcpy(from, addr_at(h, i), size);
		memcpy(next, addr_at(h, i + 1), size);
		last = !addr_next(next, h->width);
		if (!open || addr_cmp(from, end, h->width) > 0) {
			if (open)
				memcpy(addr_at(h, out++), end, size);
			memcpy(addr_at(h, out++), from, size);
			memcpy(end, next, size);
			open = true;
		} else if (addr_cmp(next, end, h->width) > 0) {
			memcpy(end, next, size);
		}
		endless = last;
	}
	if (open && !endless)
		memcpy(addr_at(h, out++), end, size);
	h->n = out;
}

static uint32_t bits_at(const uint32_t *a, uint32_t width, unsigned pos, unsigned n)
{
	uint32_t i = pos / 32;
	uint64_t two = (uint64_t)a[i] << 32 | (i + 1 < width ? a[i + 1] : 0);

	return (uint32_t)(two << (pos % 32) >> (64 - n));
}

/* Bits from the left that all edges share; they are sorted, so the outermost two tell. */
static unsigned common_bits(const struct half *h)
{
	const uint32_t *a = addr_at(h, 0), *b = addr_at(h, h->n - 1);
	unsigned n = 0;

	for (uint32_t i = 0; i < h->width; i++) {
		if (a[i] != b[i])
			return n + (unsigned)__builtin_clz(a[i] ^ b[i]);
		n += 32;
	}
	return n;
}

static unsigned branch_bits(uint32_t edges, unsigned left)
{
	unsigned bits = 29 - (unsigned)__builtin_clz(edges | 4);

	if (bits < BRANCH_MIN)
		bits = BRANCH_MIN;
	if (bits > BRANCH_MAX)
		bits = BRANCH_MAX;
	return bits < left ? bits : left;
}

static int nodes_add(struct half *h, uint32_t n, uint32_t *first)
{
	uint32_t need = h->n_nodes + n;

	if (need > h->cap_nodes) {
		uint32_t cap = h->cap_nodes * 2 > need ? h->cap_nodes * 2 : need;
		struct node *nodes = realloc(h->nodes, cap * sizeof(*nodes));

		if (!nodes)
			return -ERR_NOMEM;
		h->nodes = nodes;
		h->cap_nodes = cap;
	}
	*first = h->n_nodes;
	h->n_nodes = need;
	return 0;
}

/*
 * Makes node @at of the edges [first, first + n), which agree in the bits before
 * @pos. Recursion ends at the last bit, where no two edges agree any more.
 */
static int node_build(struct half *h, uint32_t at, uint32_t first, uint32_t n, unsigned pos)
{
	unsigned branch = branch_bits(n, 32 * h->width - pos);
	uint32_t child, edge = first;
	int err;

	if (n <= LEAF_MAX) {
		h->nodes[at] = (struct node){.first = first, .n = (uint16_t)n};
		return 0;
	}
	err = nodes_add(h, 1u << branch, &child);
	if (err)
		return err;
	h->nodes[at] =
		(struct node){.first = child, .branch = (uint8_t)branch, .pos = (uint8_t)pos};
	for (uint32_t v = 0; v < 1u << branch; v++) {
		uint32_t begin = edge;

		while (edge < first + n && bits_at(addr_at(h, edge), h->width, pos, branch) == v)
			edge++;
		err = node_build(h, child + v, begin, edge - begin, pos + branch);
		if (err)
			return err;
	}
	return 0;
}

static int half_seal(struct half *h)
{
	uint32_t root;
	void *fit;
	int err;

	if (!h->given)
		return 0;
	qsort(h->words, h->n / 2, 2 * h->width * sizeof(*h->words),
	      h->width == 1 ? cmp_v4 : cmp_v6);
	ranges_to_edges(h);
	fit = realloc(h->words, (size_t)h->n * h->width * sizeof(*h->words));
	if (!fit)
		return -ERR_NOMEM;
	h->words = fit;
	h->cap = h->n;
	err = nodes_add(h, 1, &root);
	if (!err)
		err = node_build(h, root, 0, h->n, common_bits(h));
	if (err)
		return err;
	fit = realloc(h->nodes, h->n_nodes * sizeof(*h->nodes));
	if (!fit)
		return -ERR_NOMEM;
	h->nodes = fit;
	h->cap_nodes = h->n_nodes;
	return 0;
}

int ipset_seal(struct ipset *s)
{
	int err = half_seal(&s->v4);

	return err ? err : half_seal(&s->v6);
}

bool ipset_has_family(const struct ipset *s, uint8_t family)
{
	return (family == 4 && s->v4.given) || (family == 6 && s->v6.given);
}

/* Edges in the leaf that are not above @a. */
static uint32_t leaf_count(const struct half *h, const struct node *leaf, const uint32_t *a)
{
	uint32_t n = 0;

	if (h->width == 1) { /* no branch to be mispredicted */
		for (uint32_t i = 0; i < leaf->n; i++)
			n += h->words[leaf->first + i] <= a[0];
		return n;
	}
	while (n < leaf->n && addr_cmp(addr_at(h, leaf->first + n), a, h->width) <= 0)
		n++;
	return n;
}

bool ipset_has(const struct ipset *s, const struct ip *ip)
{
	const struct half *h = ip->family == 4 ? &s->v4 : &s->v6;
	const struct node *node = h->nodes;
	uint32_t a[WORDS_MAX];

	if (!h->given || ip->family == 0)
		return false;
	ip_words(a, ip, h->width);
	if (addr_cmp(a, addr_at(h, 0), h->width) < 0)
		return false;
	if (addr_cmp(a, addr_at(h, h->n - 1), h->width) >= 0)
		return h->n % 2 == 1;
	while (node->branch)
		node = h->nodes + node->first + bits_at(a, h->width, node->pos, node->branch);
	return (node->first + leaf_count(h, node, a)) % 2 == 1;
}

size_t ipset_memory(const struct ipset *s)
{
	size_t words = (size_t)s->v4.cap * s->v4.width + (size_t)s->v6.cap * s->v6.width;

	return sizeof(*s) + words * sizeof(uint32_t) +
	       ((size_t)s->v4.cap_nodes + s->v6.cap_nodes) * sizeof(struct node);
}
