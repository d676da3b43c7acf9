/*
 * The body of a Shadowsocks stream: chunks, the same in both editions.
 *
 *     seal(u16 length) 18 bytes | seal(data) length + 16 bytes | ...
 *
 * Each direction has its own salt and subkey. The nonce is a little-endian
 * counter from 0, plus one per sealed item whatever it is, so the header items of
 * 2022 streams count too; ss2022.c seals and opens those with the same objects.
 * The end is the end of the stream below: there is no mark in the bytes.
 *
 * Work is offered at two levels: single items in memory of the caller, and
 * whole queues. A queue function seals bufs in place where headroom and
 * tailroom allow, else the cipher itself is the copy; it never writes to bytes
 * that another slice may see.
 *
 * After a failure an object stays failed and gives the same error again.
 */
#ifndef GARENNE_PROTO_SSSTREAM_H
#define GARENNE_PROTO_SSSTREAM_H

#include <sys/types.h>

#include "base/buf.h"
#include "proto/ss.h"

enum {
	SS_LENGTH = 2 + AEAD_TAG,		  /* a sealed length */
	SS_CHUNK_OVERHEAD = SS_LENGTH + AEAD_TAG, /* bytes that a chunk adds to its data */
	SS_CHUNK_CLASSIC = 0x3fff,		  /* longest data, by SIP004 */
	SS_CHUNK_2022 = 0xffff,			  /* longest data, by SIP022 */
	SS_CHUNK_SEND = BUF_DATA,		  /* longest that we send with 2022 */
	SS_ITEM_MAX = SS_CHUNK_2022 + AEAD_TAG,
};

struct ss_writer {
	struct aead *aead;
	uint64_t count; /* items sealed: the next nonce */
	size_t max;	/* longest data of a chunk that we send */
	int err;
};

enum ss_reader_state {
	SS_READER_LENGTH = 0, /* a length is next */
	SS_READER_DATA,	      /* @need - AEAD_TAG bytes of data are next */
	SS_READER_FAILED,
};

struct ss_reader {
	struct aead *aead;
	uint64_t count;
	enum ss_reader_state state;
	size_t need; /* bytes of the next item on the wire */
	size_t max;  /* longest data that is allowed */
	int err;
};

/** Keys @w for the stream that begins with @salt (key_len bytes, fresh). 0, -ERR_NOMEM. */
int ss_writer_init(struct ss_writer *w, const struct ss_method *m, const struct ss_key *k,
		   const uint8_t *salt);
/** Frees the key. Harmless on a zeroed or finished object. */
void ss_writer_fini(struct ss_writer *w);

/** Seals one item of any kind, the concatenation of @n spans. 0, -ERR_LIMIT, -ERR_SYS. */
int ss_writer_item(struct ss_writer *w, struct wr *out, const struct span *in, size_t n);
/**
 * Seals as much of @data as @out has room for, in chunks as long as possible.
 * Returns how many bytes of @data were taken, 0 when not even one fits, or -ERR_SYS.
 */
ssize_t ss_writer_seal(struct ss_writer *w, struct wr *out, struct span data);
/**
 * Turns the data of @b (1..w->max bytes) into a chunk, in place. 0; -ERR_LIMIT
 * when the length is wrong or @b lacks SS_LENGTH bytes of headroom or AEAD_TAG
 * of tailroom (then nothing has changed); -ERR_SYS.
 */
int ss_writer_seal_buf(struct ss_writer *w, struct buf *b);
/**
 * Moves at least @max bytes from the front of @in, or all if fewer, to the end
 * of @out as chunks; whole bufs, small ones joined. Returns the bytes taken from
 * @in, -ERR_NOMEM or -ERR_SYS.
 */
ssize_t ss_writer_push(struct ss_writer *w, struct bufq *in, struct bufq *out, size_t max);

/** Keys @r for the stream that began with @salt; a length is next. 0, -ERR_NOMEM. */
int ss_reader_init(struct ss_reader *r, const struct ss_method *m, const struct ss_key *k,
		   const uint8_t *salt);
void ss_reader_fini(struct ss_reader *r);

/** Bytes of the next item, tag included. */
static inline size_t ss_reader_need(const struct ss_reader *r)
{
	return r->need;
}
/** True when the stream may end here: between two chunks. */
static inline bool ss_reader_may_end(const struct ss_reader *r)
{
	return r->state == SS_READER_LENGTH;
}
/** The next item is @n bytes of data, no length: after a 2022 response header. */
void ss_reader_expect(struct ss_reader *r, size_t n);
/** Opens one item of any kind, which the caller knows; @in is the whole of it. 0 or -ERR_AUTH. */
int ss_reader_item(struct ss_reader *r, uint8_t *out, struct span in);
/**
 * Opens the next item, ss_reader_need bytes at @item, in place. 0 and in *@plain
 * its data (empty for a length); -ERR_AUTH; -ERR_MALFORMED for a forbidden length.
 */
int ss_reader_open(struct ss_reader *r, uint8_t *item, struct span *plain);
/**
 * Opens what is complete in @in and appends the data to @out, about @max bytes
 * at most. Returns how many bytes of data came out; 0 when more input is needed;
 * -ERR_AUTH, -ERR_MALFORMED, -ERR_NOMEM.
 */
ssize_t ss_reader_pull(struct ss_reader *r, struct bufq *in, struct bufq *out, size_t max);

#endif
