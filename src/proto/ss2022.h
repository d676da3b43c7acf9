/*
 * The beginnings of a Shadowsocks 2022 stream (SIP022, identity headers SIP023).
 *
 * Request, salt and subkey of the client, nonces 0 and 1:
 *
 *     salt 16|32 | identity header 16 each | seal(fixed, 11) | seal(variable, L)
 *     fixed     u8 0 | u64 Unix time | u16 L
 *     variable  type-first address | u16 P | P padding | first payload
 *
 * Response, salt of the server, key of the user, nonces 0 and 1:
 *
 *     salt 16|32 | seal(header, 27|43) | seal(first payload, N)
 *     header    u8 1 | u64 Unix time | request salt | u16 N
 *
 * Chunks follow (ssstream.h). The request leaves in one write: servers judge the
 * first read, and so do we: ss2022_head_len bytes at once or refused.
 *
 * What a server does with the results is the caller's: every refusal must look
 * the same from outside, whatever its code.
 */
#ifndef GARENNE_PROTO_SS2022_H
#define GARENNE_PROTO_SS2022_H

#include "base/addr.h"
#include "proto/ssreplay.h"
#include "proto/ssstream.h"
#include "proto/ssusers.h"

enum {
	SS2022_SKEW_MAX = 30,	  /* seconds, either way */
	SS2022_PADDING_MAX = 900, /* that we send; any that fits is accepted */
	SS2022_FIXED = 1 + 8 + 2 + AEAD_TAG,
};

struct ss2022_request {
	struct addr target;
	uint16_t padding;    /* bytes */
	struct span payload; /* the first; may be empty only with padding */
};

/* A server's side of a configuration. Borrows the users. */
struct ss2022_server {
	const struct ss_method *method;
	struct ss_key key;	      /* of the one user, or the identity key of several */
	const struct ss_users *users; /* NULL: one user, no identity header */
};

/* What the first bytes of a request told. */
struct ss2022_head {
	int user;		   /* index among the users, 0 with one */
	const struct ss_key *key;  /* the user's: the response is sealed with it. Borrowed */
	uint8_t salt[SS_SALT_MAX]; /* to be echoed */
	size_t rest;		   /* bytes of the sealed variable header that follows */
};

/* Both clocks as the caller reads them. */
struct ss2022_time {
	uint64_t unix_s;
	uint64_t mono_ms; /* for the replay filter */
};

/** How much to pad a request with @payload bytes; @random: any number. */
uint16_t ss2022_padding(size_t payload, uint32_t random);

/** Bytes of a whole request as ss2022_request_seal writes it. */
size_t ss2022_request_len(const struct ss_chain *keys, const struct ss2022_request *req);
/**
 * Writes the request with the fresh @salt and leaves @w ready for chunks; the
 * caller finishes @w, also after a failure. 0; -ERR_LIMIT: no room, too long;
 * -ERR_MALFORMED: no target, or neither padding nor payload; -ERR_NOMEM, -ERR_SYS.
 */
int ss2022_request_seal(struct wr *out, struct ss_writer *w, const struct ss_chain *keys,
			const uint8_t *salt, const struct ss2022_request *req, uint64_t unix_s);

/** Bytes of salt and response header, which a client reads before anything else. */
size_t ss2022_response_len(const struct ss_method *m);
/**
 * Judges the response header at @in (ss2022_response_len bytes) and leaves @r
 * expecting the first payload; the caller finishes @r, also after a failure.
 * 0; -ERR_AUTH: bad tag, or an echo of another salt than @request_salt;
 * -ERR_MALFORMED; -ERR_CLOCK; -ERR_NOMEM. *@skew (may be NULL): the peer's time
 * minus ours in seconds, set once it is authentic.
 */
int ss2022_response_open(struct ss_reader *r, const struct ss_chain *keys,
			 const uint8_t *request_salt, struct span in, uint64_t unix_s,
			 int64_t *skew);

/** Bytes of a request's head, which a server reads before anything else. */
size_t ss2022_head_len(const struct ss2022_server *s);
/**
 * Judges the head at @in (ss2022_head_len bytes): user, key, type, time, and that
 * @replay (may be NULL) has not seen the salt, in this order. 0, then @r awaits
 * out->rest bytes for ss2022_request_open; -ERR_AUTH: unknown user or bad tag;
 * -ERR_MALFORMED; -ERR_CLOCK; -ERR_REPLAY; -ERR_LIMIT: the filter is full;
 * -ERR_NOMEM. *@skew as above. The caller finishes @r, also after a failure.
 */
int ss2022_head_open(struct ss2022_head *out, struct ss_reader *r, const struct ss2022_server *s,
		     struct span in, const struct ss2022_time *now, struct ss_replay *replay,
		     int64_t *skew);
/**
 * Opens the variable header (head->rest bytes at @item) in place; the payload in
 * *@out borrows from it. 0, then @r is ready for chunks; -ERR_AUTH, -ERR_MALFORMED.
 */
int ss2022_request_open(struct ss2022_request *out, struct ss_reader *r, uint8_t *item, size_t n);

/**
 * Writes salt, response header and the first payload (1..SS_CHUNK_2022 bytes) and
 * leaves @w ready for chunks. Not to be called before there is payload: peers
 * disagree about an empty one. Errors as ss2022_request_seal.
 */
int ss2022_response_seal(struct wr *out, struct ss_writer *w, const struct ss_method *m,
			 const struct ss2022_head *head, const uint8_t *salt, struct span payload,
			 uint64_t unix_s);
/** Bytes that ss2022_response_seal writes for @payload bytes. */
static inline size_t ss2022_response_sealed_len(const struct ss_method *m, size_t payload)
{
	return ss2022_response_len(m) + payload + AEAD_TAG;
}

/* For packets too. */

/** The user whose hash is @block after decryption. 0 and *@user, *@key; -ERR_AUTH. */
int ss2022_user_find(const struct ss2022_server *s, const uint8_t hash[SS_IDENTITY], int *user,
		     const struct ss_key **key);
/** 0 or -ERR_CLOCK; *@skew (may be NULL) gets @theirs - @ours, within what it can hold. */
int ss2022_time_check(uint64_t theirs, uint64_t ours, int64_t *skew);

#endif
