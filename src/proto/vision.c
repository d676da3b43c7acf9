#include "proto/vision.h"

#include "base/err.h"

enum {
	RECORD_HEAD = 5,
	RECORD_MAX = 16384 + 2048, /* the largest body of any version */
	TYPE_HANDSHAKE = 22,
	TYPE_FIRST = 20,
	TYPE_DATA = 23,
	HELLO_CLIENT = 1,
	HELLO_SERVER = 2,
	/* Offsets in a record with a ServerHello, RFC 8446 section 4.1.3. */
	AT_MSG_TYPE = 5,
	AT_SID_LEN = 43,
	HELLO_SHORT = 79, /* with 32 bytes of session id and no room for the suite */
	SPLIT_DEFAULT = 4096,
};

/* ---- reading ---- */

void vision_rx_init(struct vision_rx *r, const struct uuid *id)
{
	*r = (struct vision_rx){.id = *id};
}

/* The first bytes are the id or the peer does not pad. */
static ssize_t rx_start(struct vision_rx *r, struct span in, bool *content)
{
	size_t n = in.n < UUID_LEN ? in.n : UUID_LEN;

	if (memcmp(in.p, r->id.b, n) != 0) {
		r->state = VISION_RX_PLAIN;
		*content = true;
		return (ssize_t)in.n;
	}
	if (n < UUID_LEN)
		return 0;
	r->state = VISION_RX_HEADER;
	return UUID_LEN;
}

/* Where to go when content and padding of a block are complete. */
static void rx_next(struct vision_rx *r)
{
	static const uint8_t after[] = {[VISION_CONTINUE] = VISION_RX_HEADER,
					[VISION_END] = VISION_RX_PLAIN,
					[VISION_DIRECT] = VISION_RX_RAW};

	if (r->content > 0)
		r->state = VISION_RX_CONTENT;
	else if (r->padding > 0)
		r->state = VISION_RX_PADDING;
	else
		r->state = (enum vision_rx_state)after[r->command];
}

static ssize_t rx_header(struct vision_rx *r, struct span in)
{
	struct rd rd = rd_of(in);
	uint8_t command = rd_u8(&rd);
	uint16_t c = rd_u16(&rd), p = rd_u16(&rd);

	if (command > VISION_DIRECT)
		return -ERR_MALFORMED;
	if (rd.bad)
		return 0;
	r->command = command;
	r->content = c;
	r->padding = p;
	rx_next(r);
	return VISION_HEAD_LEN;
}

static size_t rx_body(struct vision_rx *r, uint16_t *left, struct span in)
{
	size_t n = in.n < *left ? in.n : *left;

	*left = (uint16_t)(*left - n);
	if (*left == 0)
		rx_next(r);
	return n;
}

ssize_t vision_rx_step(struct vision_rx *r, struct span in, bool *content)
{
	*content = false;
	if (in.n == 0)
		return 0;
	switch (r->state) {
	case VISION_RX_START:
		return rx_start(r, in, content);
	case VISION_RX_HEADER:
		return rx_header(r, in);
	case VISION_RX_CONTENT:
		*content = true;
		return (ssize_t)rx_body(r, &r->content, in);
	case VISION_RX_PADDING:
		return (ssize_t)rx_body(r, &r->padding, in);
	default:
		*content = true;
		return (ssize_t)in.n;
	}
}

/* ---- the filter ---- */

void vision_filter_init(struct vision_filter *f)
{
	*f = (struct vision_filter){.left = VISION_WATCH};
}

void vision_filter_blind(struct vision_filter *f)
{
	f->blind = true;
	f->tls = f->tls12plus = f->direct = false;
	f->hello = 0;
}

static uint16_t u16_at(struct span s, size_t at)
{
	return (uint16_t)(s.p[at] << 8 | s.p[at + 1]);
}

static void see_first_bytes(struct vision_filter *f, struct span s)
{
	size_t at;

	if (s.n <= AT_MSG_TYPE || s.p[0] != TYPE_HANDSHAKE || s.p[1] != 3)
		return;
	if (s.p[2] == 3 && s.p[AT_MSG_TYPE] == HELLO_SERVER) {
		f->tls = f->tls12plus = true;
		f->hello = RECORD_HEAD + u16_at(s, 3);
		if (s.n < HELLO_SHORT || f->hello < HELLO_SHORT)
			return;
		at = AT_SID_LEN + 1u + s.p[AT_SID_LEN];
		if (at + 2 <= s.n)
			f->suite = u16_at(s, at);
	} else if (s.p[AT_MSG_TYPE] == HELLO_CLIENT) {
		f->tls = true;
	}
}

static bool says_tls13(struct span s)
{
	/* supported_versions with one version, RFC 8446 section 4.2.1 */
	static const uint8_t ext[] = {0x00, 0x2b, 0x00, 0x02, 0x03, 0x04};

	return s.n >= sizeof(ext) && memmem(s.p, s.n, ext, sizeof(ext)) != NULL;
}

static void see_hello(struct vision_filter *f, struct span s)
{
	size_t n = s.n < (size_t)f->hello ? s.n : (size_t)f->hello;

	f->hello -= (int32_t)n;
	if (says_tls13(span_of(s.p, n))) {
		/* CCM_8, 0x1305, has a tag so short that stock software stays out of it. */
		f->direct = f->suite >= 0x1301 && f->suite <= 0x1304;
		f->left = 0;
	} else if (f->hello == 0) {
		f->left = 0;
	}
}

static void see_piece(struct vision_filter *f, struct span s)
{
	f->left--;
	if (f->blind)
		return;
	see_first_bytes(f, s);
	if (f->hello > 0)
		see_hello(f, s);
}

void vision_filter_see(struct vision_filter *f, struct span bytes)
{
	while (f->left > 0 && bytes.n > 0) {
		size_t n = bytes.n < VISION_PIECE ? bytes.n : VISION_PIECE;

		see_piece(f, span_of(bytes.p, n));
		bytes = span_of(bytes.p + n, bytes.n - n);
	}
}

/* ---- writing ---- */

uint16_t vision_padding(const uint32_t seed[4], size_t content, bool is_long, uint32_t draw)
{
	uint64_t p;

	if (content < seed[0] && is_long) {
		p = (uint64_t)seed[2] + draw % (seed[1] ? seed[1] : 1);
		p = p > content ? p - content : 0;
	} else {
		p = draw % (seed[3] ? seed[3] : 1);
	}
	if (content > VISION_CONTENT_MAX)
		return 0;
	if (p > VISION_CONTENT_MAX - content)
		p = VISION_CONTENT_MAX - content;
	return (uint16_t)p;
}

/* What one write is in terms of the application's TLS records. */
struct survey {
	bool complete; /* whole records with data and nothing else */
	bool data;     /* all of it belongs to such records, the first may have begun before */
	size_t cut;    /* behind the last byte of a record; 0: none ends here */
	size_t len;
};

static bool good_header(const uint8_t h[RECORD_HEAD])
{
	size_t n = (size_t)(h[3] << 8 | h[4]);

	return h[0] >= TYPE_FIRST && h[0] <= TYPE_DATA && h[1] == 3 && n > 0 && n <= RECORD_MAX;
}

/* Walks on through one span; @at: its place in the write. */
static void walk(struct vision_tx *t, struct span s, struct survey *v)
{
	size_t i = 0;

	while (i < s.n && !t->lost) {
		if (t->record > 0) {
			size_t n = s.n - i < t->record ? s.n - i : t->record;

			t->record = (uint16_t)(t->record - n);
			i += n;
			if (t->record == 0)
				v->cut = v->len + i;
			continue;
		}
		t->head[t->have++] = s.p[i++];
		if (t->have < RECORD_HEAD)
			continue;
		t->have = 0;
		t->lost = !good_header(t->head);
		t->record = (uint16_t)(t->head[3] << 8 | t->head[4]);
		if (t->head[0] != TYPE_DATA || t->head[2] != 3)
			v->data = v->complete = false;
	}
	v->len += s.n;
}

/* TLS may begin after words in the clear, as with STARTTLS or CONNECT: a write that starts with a
 * hello is where the records are in step from. */
static void look_for_start(struct vision_tx *t, struct span first)
{
	if (t->lost && first.n > RECORD_HEAD && good_header(first.p) &&
	    first.p[0] == TYPE_HANDSHAKE) {
		t->lost = false;
		t->have = 0;
		t->record = 0;
	}
}

static struct survey survey_write(struct vision_tx *t, const struct span *write, size_t n)
{
	struct survey v;
	bool inside;

	if (n > 0)
		look_for_start(t, write[0]);
	inside = t->record > 0 || t->have > 0;
	v = (struct survey){.complete = !inside, .data = !inside || t->head[0] == TYPE_DATA};
	for (size_t i = 0; i < n; i++)
		walk(t, write[i], &v);
	t->seen += v.len;
	if (t->lost)
		v.complete = v.data = false;
	if (t->record > 0 || t->have > 0)
		v.complete = false;
	return v;
}

/* Stock software judges each write as if it were the first; so do we where a stream of records
 * is not in step, as when its beginning was not ours to see. */
static bool is_complete(const struct span *write, size_t n)
{
	struct vision_tx fresh = {0};

	return survey_write(&fresh, write, n).complete;
}

static bool starts_data(struct span s)
{
	return s.n > RECORD_HEAD && s.p[0] == TYPE_DATA && s.p[1] == 3 && s.p[2] == 3;
}

/* Where a piece that is too long for one block is cut: before a record if there is one. */
static size_t split_at(struct span s)
{
	for (size_t i = VISION_CONTENT_MAX; i >= VISION_FIRST_LEN; i--)
		if (i + 3 <= s.n && s.p[i] == TYPE_DATA && s.p[i + 1] == 3 && s.p[i + 2] == 3)
			return i;
	return SPLIT_DEFAULT;
}

/* Length of the next block's content in what is left of a span. @piece: the second half of a
 * piece, as stock software would have read it, that had to be cut; 0: there is none. */
static size_t next_content(struct span s, size_t *piece)
{
	size_t n = *piece;

	if (n > 0) { /* the second half */
		*piece = 0;
		return n;
	}
	n = s.n < VISION_PIECE ? s.n : VISION_PIECE;
	if (n >= VISION_CONTENT_MAX) {
		*piece = n;
		n = split_at(span_of(s.p, n));
		*piece -= n;
	}
	return n;
}

/* One write on its way through the rules. */
struct planner {
	struct vision_plan *p;
	struct vision_tx *t;
	const struct vision_filter *f;
	const uint32_t *seed, *draws;
	bool whole;   /* made of records: the last block is the last one */
	bool forced;  /* as above, because it was cut so */
	bool ending;  /* rule (a) has struck */
	bool is_long;
};

static void add_block(struct planner *k, size_t content, uint8_t command, bool is_long)
{
	struct vision_plan *p = k->p;

	p->block[p->n] = (struct vision_block){
		.content = (uint32_t)content,
		.padding = vision_padding(k->seed, content, is_long, k->draws[p->n]),
		.command = command,
	};
	p->n++;
	p->taken += content;
	if (command == VISION_END)
		k->t->state = VISION_TX_PLAIN;
	else if (command == VISION_DIRECT)
		k->t->state = VISION_TX_RAW;
}

static void plan_block(struct planner *k, struct span content, bool last)
{
	const struct vision_filter *f = k->f;
	uint8_t final = f->direct ? VISION_DIRECT : VISION_END;
	bool is_long = k->is_long;

	if (f->tls && k->whole && (k->forced || starts_data(content))) {
		k->ending = true;
		k->is_long = false;
		add_block(k, content.n, last ? final : VISION_CONTINUE, true);
	} else if (!f->tls12plus && f->left <= 1) {
		add_block(k, content.n, VISION_END, is_long);
	} else {
		add_block(k, content.n, last && k->ending ? final : VISION_CONTINUE, is_long);
	}
}

void vision_plan_write(struct vision_plan *p, struct vision_tx *t, const struct vision_filter *f,
		       const struct span *write, size_t n, const uint32_t seed[4],
		       const uint32_t draws[VISION_BLOCKS_MAX])
{
	struct survey v = survey_write(t, write, n);
	struct planner k = {.p = p, .t = t, .f = f, .seed = seed, .draws = draws, .is_long = f->tls};
	size_t end = v.len;

	p->n = p->taken = 0;
	k.whole = v.complete || is_complete(write, n);
	if (!k.whole && f->tls && v.data && v.cut > 0 && t->seen >= VISION_BULK) {
		k.whole = k.forced = true;
		end = v.cut;
	}
	for (size_t i = 0; i < n && p->taken < end; i++) {
		struct span s = write[i];
		size_t piece = 0;

		if (s.n > end - p->taken)
			s.n = end - p->taken;
		while (s.n > 0 && t->state == VISION_TX_PADDING) {
			size_t c = next_content(s, &piece);

			plan_block(&k, span_of(s.p, c), p->taken + c == end);
			s = span_of(s.p + c, s.n - c);
		}
		if (t->state != VISION_TX_PADDING)
			return;
	}
}

int vision_head_encode(struct wr *out, struct vision_tx *t, const struct uuid *id,
		       const struct vision_block *b)
{
	if (!t->begun)
		wr_bytes(out, id->b, UUID_LEN);
	wr_u8(out, b->command);
	wr_u16(out, b->content);
	wr_u16(out, b->padding);
	if (out->bad)
		return -ERR_LIMIT;
	t->begun = true;
	return 0;
}
