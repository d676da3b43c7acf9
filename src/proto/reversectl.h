/*
 * The control session of a reverse proxy's carrier. The portal opens it as the first
 * session, network UDP, to one of four names that no visitor may ask for; every
 * datagram is one Protocol Buffers message:
 *
 *     1  state   varint  0 active (never written), 1 drain: take no new sessions
 *     99 random  bytes   filler, ignored
 *
 * An active message without filler is empty, and a peer that draws that length sends
 * nothing at all for that beat.
 */
#ifndef GARENNE_PROTO_REVERSECTL_H
#define GARENNE_PROTO_REVERSECTL_H

#include "base/span.h"

enum {
	REVERSECTL_FILLER_MAX = 64,
	REVERSECTL_DGRAM_MAX = 2048, /* UDP payload of programs with one of the older names */
	REVERSECTL_MAX = 2 + 3 + REVERSECTL_FILLER_MAX, /* bytes of the longest message we write */
};

enum reversectl_state {
	REVERSECTL_ACTIVE = 0,
	REVERSECTL_DRAIN = 1,
};

/* Who uses which name; the newest first. */
enum reversectl_name {
	REVERSECTL_XRAY = 0, /* Xray since 25.9.10, and all of VLESS reverse */
	REVERSECTL_V2FLY,    /* Xray 1.5.4 to 25.9.5, v2ray since 4.35 */
	REVERSECTL_V2RAY,    /* v2ray up to 4.34 */
	REVERSECTL_EXAMPLE,  /* Xray up to 1.5.3 */
	REVERSECTL_NAMES
};

struct reversectl {
	uint32_t state;	    /* what is not REVERSECTL_ACTIVE takes no new sessions */
	struct span filler; /* borrowed */
};

/** One whole datagram; fields in any order, unknown ones skipped, of repeated ones the last counts.
 * 0 or -ERR_MALFORMED. */
int reversectl_decode(struct reversectl *out, struct span in);
/** @in->filler holds random bytes of the caller, at most REVERSECTL_FILLER_MAX. May write nothing.
 * 0 or -ERR_LIMIT. */
int reversectl_encode(struct wr *out, const struct reversectl *in);

/** The destination host of the control session; NULL beyond REVERSECTL_NAMES. */
const char *reversectl_name(enum reversectl_name which);
/** Is @host one of them? Exactly; port and network do not matter. */
bool reversectl_is_internal(const char *host);
/** The longest UDP payload that those who use the name @host take. */
size_t reversectl_dgram_max(const char *host);

#endif
