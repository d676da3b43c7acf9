/*
 * The input is cut into chunks of 1024 bytes, each a chain of compressions over
 * 64-byte blocks. Chunks are the leaves of a binary tree whose left subtrees are
 * complete; a stack keeps the chaining value of each finished subtree, one per
 * bit of the number of chunks. The last compression, the root, can be repeated
 * with a counter for output of any length, so it is kept back as a struct node.
 */
#include "crypto/blake3.h"

#include "crypto/secret.h"
#include "crypto/words.h"

enum {
	CHUNK_START = 1,
	CHUNK_END = 2,
	PARENT = 4,
	ROOT = 8,
	KEYED_HASH = 16,
	DERIVE_CONTEXT = 32,
	DERIVE_MATERIAL = 64,
};

/* A compression that has not been done yet. */
struct node {
	uint32_t cv[8];
	uint32_t words[16];
	uint64_t counter;
	uint32_t len;
	uint32_t flags;
};

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Which message word each of the 16 slots of a round takes. */
static const uint8_t schedule[7][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
	{3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
	{10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
	{12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
	{9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
	{11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

static inline void mix(uint32_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t x,
		       uint32_t y)
{
	v[a] += v[b] + x;
	v[d] = word_rotr(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = word_rotr(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = word_rotr(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = word_rotr(v[b] ^ v[c], 7);
}

static void compress(uint32_t out[16], const struct node *n)
{
	uint32_t v[16] = {
		n->cv[0],
		n->cv[1],
		n->cv[2],
		n->cv[3],
		n->cv[4],
		n->cv[5],
		n->cv[6],
		n->cv[7],
		iv[0],
		iv[1],
		iv[2],
		iv[3],
		(uint32_t)n->counter,
		(uint32_t)(n->counter >> 32),
		n->len,
		n->flags,
	};

	for (unsigned r = 0; r < 7; r++) {
		const uint8_t *s = schedule[r];
		const uint32_t *m = n->words;

		mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
		mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
		mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
		mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
		mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
		mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
		mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
		mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (unsigned i = 0; i < 8; i++) {
		out[i] = v[i] ^ v[i + 8];
		out[i + 8] = v[i + 8] ^ n->cv[i];
	}
}

static void node_cv(uint32_t cv[8], const struct node *n)
{
	uint32_t out[16];

	compress(out, n);
	memcpy(cv, out, 32);
}

/* The compression that the block in hand still needs; @end when it is the chunk's last. */
static struct node block_node(const struct blake3 *h, bool end)
{
	struct node n = {.counter = h->chunk, .len = h->block_len, .flags = h->flags};

	memcpy(n.cv, h->cv, sizeof(n.cv));
	for (unsigned i = 0; i < 16; i++)
		n.words[i] = word_le32(h->block + 4 * i);
	if (h->blocks == 0)
		n.flags |= CHUNK_START;
	if (end)
		n.flags |= CHUNK_END;
	return n;
}

static struct node parent_node(const struct blake3 *h, const uint32_t left[8],
			       const uint32_t right[8])
{
	struct node n = {.len = BLAKE3_BLOCK, .flags = h->flags | PARENT};

	memcpy(n.cv, h->key, sizeof(n.cv));
	memcpy(n.words, left, 32);
	memcpy(n.words + 8, right, 32);
	return n;
}

static void begin_chunk(struct blake3 *h)
{
	memcpy(h->cv, h->key, sizeof(h->cv));
	memset(h->block, 0, sizeof(h->block));
	h->block_len = 0;
	h->blocks = 0;
}

/* Each trailing zero bit of the number of chunks is a pair of equal subtrees that now join. */
static void end_chunk(struct blake3 *h)
{
	struct node n = block_node(h, true);
	uint32_t cv[8];

	node_cv(cv, &n);
	h->chunk++;
	for (uint64_t done = h->chunk; (done & 1) == 0; done >>= 1) {
		n = parent_node(h, h->stack[--h->depth], cv);
		node_cv(cv, &n);
	}
	memcpy(h->stack[h->depth++], cv, sizeof(cv));
	begin_chunk(h);
}

static void init_words(struct blake3 *h, const uint32_t key[8], uint8_t flags)
{
	memcpy(h->key, key, sizeof(h->key));
	h->chunk = 0;
	h->depth = 0;
	h->flags = flags;
	begin_chunk(h);
}

void blake3_init(struct blake3 *h)
{
	init_words(h, iv, 0);
}

static void init_bytes(struct blake3 *h, const uint8_t key[BLAKE3_KEY], uint8_t flags)
{
	uint32_t words[8];

	for (unsigned i = 0; i < 8; i++)
		words[i] = word_le32(key + 4 * i);
	init_words(h, words, flags);
	secret_wipe(words, sizeof(words));
}

void blake3_init_keyed(struct blake3 *h, const uint8_t key[BLAKE3_KEY])
{
	init_bytes(h, key, KEYED_HASH);
}

void blake3_init_derive(struct blake3 *h, const char *context)
{
	uint8_t key[BLAKE3_KEY];

	init_words(h, iv, DERIVE_CONTEXT);
	blake3_update(h, span_str(context));
	blake3_final(h, key, sizeof(key));
	init_bytes(h, key, DERIVE_MATERIAL);
}

/* A full block is compressed only when more input follows: the last one gets other flags. */
void blake3_update(struct blake3 *h, struct span in)
{
	while (in.n > 0) {
		size_t part;

		if (h->block_len == BLAKE3_BLOCK) {
			if (h->blocks == BLAKE3_CHUNK / BLAKE3_BLOCK - 1) {
				end_chunk(h);
			} else {
				struct node n = block_node(h, false);

				node_cv(h->cv, &n);
				h->blocks++;
				h->block_len = 0;
				memset(h->block, 0, sizeof(h->block));
			}
		}
		part = BLAKE3_BLOCK - (size_t)h->block_len;
		if (part > in.n)
			part = in.n;
		memcpy(h->block + h->block_len, in.p, part);
		h->block_len = (uint8_t)(h->block_len + part);
		in = span_of(in.p + part, in.n - part);
	}
}

static struct node root_node(const struct blake3 *h)
{
	struct node n = block_node(h, true);

	for (unsigned i = h->depth; i > 0; i--) {
		uint32_t cv[8];

		node_cv(cv, &n);
		n = parent_node(h, h->stack[i - 1], cv);
	}
	n.flags |= ROOT;
	n.counter = 0;
	return n;
}

void blake3_final(struct blake3 *h, uint8_t *out, size_t n)
{
	struct node root = root_node(h);
	uint32_t words[16];

	for (size_t i = 0; i < n; i++) {
		if (i % 64 == 0) {
			compress(words, &root);
			root.counter++;
		}
		out[i] = (uint8_t)(words[i % 64 / 4] >> (8 * (i % 4)));
	}
	secret_wipe(words, sizeof(words));
	secret_wipe(&root, sizeof(root));
	secret_wipe(h, sizeof(*h));
}

void blake3_hash(uint8_t *out, size_t n, struct span in)
{
	struct blake3 h;

	blake3_init(&h);
	blake3_update(&h, in);
	blake3_final(&h, out, n);
}

void blake3_derive_key(uint8_t *out, size_t n, const char *context, const struct span *parts,
		       size_t n_parts)
{
	struct blake3 h;

	blake3_init_derive(&h, context);
	for (size_t i = 0; i < n_parts; i++)
		blake3_update(&h, parts[i]);
	blake3_final(&h, out, n);
}
