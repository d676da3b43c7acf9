/*
 * The flow xtls-rprx-vision: what it puts between VLESS and the bytes of an
 * application. Lengths of an inner TLS handshake are hidden by padding, and when
 * the inner connection is TLS 1.3 the outer TLS is left for its records, which
 * are as good as ours. Each direction decides and switches for itself.
 *
 *     [16 user id]  u8 command | u16 C | u16 P | C content | P padding
 *
 * The id stands in front of the first block of a direction only. It is the one in
 * the request, bytes 6 and 7 as they were sent, in both directions: a mark, not
 * a proof. After Continue another block follows; after End the bytes go on
 * without blocks, inside the outer TLS; after Direct they go on without the
 * outer TLS.
 *
 *     reading  START -> HEADER -> CONTENT -> PADDING -> HEADER ...
 *                |                              +-> PLAIN (End) or RAW (Direct)
 *                +-> PLAIN: a peer that does not pad
 *
 * A writer must put id and header into one record of the outer TLS and begin
 * each further block with a record: Xray's reader judges after each read.
 *
 * Pure, and without random numbers of its own.
 */
#ifndef GARENNE_PROTO_VISION_H
#define GARENNE_PROTO_VISION_H

#include <sys/types.h>

#include "base/span.h"
#include "base/uuid.h"

enum vision_command {
	VISION_CONTINUE = 0,
	VISION_END,
	VISION_DIRECT,
};

enum {
	VISION_HEAD_LEN = 5,
	VISION_FIRST_LEN = UUID_LEN + VISION_HEAD_LEN,
	VISION_BLOCK_MAX = 8192, /* what stock senders make, the id counted always */
	VISION_CONTENT_MAX = VISION_BLOCK_MAX - VISION_FIRST_LEN,
	VISION_PIECE = 8192,	 /* the unit in which stock software reads and counts */
	VISION_WATCH = 8,	 /* pieces of both directions that are looked at */
	VISION_SPANS_MAX = 16,	 /* of one write */
	VISION_WRITE_MAX = 65536, /* bytes of one write */
	/* Two blocks for each piece, and each span may end in a piece of its own. */
	VISION_BLOCKS_MAX = 2 * (VISION_WRITE_MAX / VISION_PIECE + VISION_SPANS_MAX),
	/* Once a direction has carried so much, what is left of a handshake cannot be told from
	 * its lengths any more: it may then leave the blocks in the middle of a write. */
	VISION_BULK = 32768,
};

/* ---- reading ---- */

enum vision_rx_state {
	VISION_RX_START = 0,
	VISION_RX_HEADER,
	VISION_RX_CONTENT,
	VISION_RX_PADDING,
	VISION_RX_PLAIN, /* bytes of the application, inside the outer TLS */
	VISION_RX_RAW,	 /* and outside of it, from the next record on */
};

struct vision_rx {
	enum vision_rx_state state;
	struct uuid id;
	uint8_t command; /* of the block under way */
	uint16_t content, padding; /* of it, still to come */
};

void vision_rx_init(struct vision_rx *r, const struct uuid *id);
/** True when there are no blocks any more. */
static inline bool vision_rx_done(const struct vision_rx *r)
{
	return r->state >= VISION_RX_PLAIN;
}
/**
 * One step over the front of @in: the bytes consumed, of which all are content
 * when *@content is set and none otherwise. 0 when more are needed (show what is
 * left again, at most VISION_FIRST_LEN bytes), or -ERR_MALFORMED for an unknown
 * command. In RAW what is shown is content: the rest of the record that held the
 * end of the last block.
 */
ssize_t vision_rx_step(struct vision_rx *r, struct span in, bool *content);

/* ---- looking at what the application says ---- */

/* One for both directions of a connection, at each node. */
struct vision_filter {
	uint8_t left;	/* pieces still to look at */
	bool blind;	/* only count: mux frames are nobody's TLS */
	bool tls;	/* a ClientHello or ServerHello was seen */
	bool tls12plus; /* a ServerHello was seen */
	bool direct;	/* TLS 1.3 with a suite of RFC 8446 but CCM_8 */
	uint16_t suite;
	int32_t hello; /* bytes of the ServerHello still to look through */
};

void vision_filter_init(struct vision_filter *f);
/** Looks at bytes of the application as they were read or will be written, one buffer a call. */
void vision_filter_see(struct vision_filter *f, struct span bytes);
/** From now on the bytes are frames of a mux, whatever they look like. */
void vision_filter_blind(struct vision_filter *f);

/* ---- writing ---- */

enum vision_tx_state {
	VISION_TX_PADDING = 0,
	VISION_TX_PLAIN,
	VISION_TX_RAW,
};

struct vision_tx {
	enum vision_tx_state state;
	bool begun;    /* the id has been written */
	bool lost;     /* what is written is no sequence of TLS records */
	uint64_t seen; /* bytes of the application */
	/* where in a record of the application the direction is */
	uint8_t head[5], have;
	uint16_t record; /* bytes of its body still to come */
};

struct vision_block {
	uint32_t content; /* bytes of the write that it takes */
	uint16_t padding;
	uint8_t command;
};

struct vision_plan {
	struct vision_block block[VISION_BLOCKS_MAX];
	size_t n;
	size_t taken; /* bytes of the write in the blocks; the rest follows in the new state */
};

/** P for a block of @content bytes; four numbers of testseed, a random one. Never makes a block
 * longer than VISION_BLOCK_MAX. */
uint16_t vision_padding(const uint32_t seed[4], size_t content, bool is_long, uint32_t draw);

/**
 * Cuts one write of the application, @n spans (at most VISION_SPANS_MAX, and
 * VISION_WRITE_MAX bytes) into blocks, after vision_filter_see has seen them,
 * and moves @t to the state after them. @t must be PADDING. @draws: one random
 * number for each of VISION_BLOCKS_MAX blocks.
 */
void vision_plan_write(struct vision_plan *p, struct vision_tx *t, const struct vision_filter *f,
		       const struct span *write, size_t n, const uint32_t seed[4],
		       const uint32_t draws[VISION_BLOCKS_MAX]);

/** What stands before the content of @b: VISION_FIRST_LEN bytes the first time, and
 * VISION_HEAD_LEN afterwards. 0, -ERR_LIMIT. */
int vision_head_encode(struct wr *out, struct vision_tx *t, const struct uuid *id,
		       const struct vision_block *b);

#endif
