/*
 * Shadowsocks: what both editions share. Methods and their sizes, keys from
 * passwords, the subkeys of a stream or packet.
 *
 *   classic   the AEAD ciphers of 2017 (SIP004, SIP007): key = MD5 chain over
 *             any password, subkey = HKDF-SHA1(key, salt, "ss-subkey")
 *   2022      SIP022: key = base64, subkey = BLAKE3 derive_key over key || salt.
 *             With AES the client may have a chain of keys "K0:K1:...:Kn" (SIP023):
 *             the last one is the user's, each earlier one leads to an identity
 *             header by which a server finds the user
 *
 * Proper nouns of the other files: ssstream (chunks), ss2022 and ssaead (the
 * beginnings of streams), ssudp and ssaead (packets), ssusers, ssreplay, sswindow.
 */
#ifndef GARENNE_PROTO_SS_H
#define GARENNE_PROTO_SS_H

#include "base/span.h"
#include "crypto/aead.h"

enum {
	SS_KEY_MAX = 32,
	SS_SALT_MAX = 32,
	SS_CHAIN_MAX = 8, /* keys of one client; two is what people use */
	SS_IDENTITY = 16, /* an identity header, and the hash that names a user */
};

enum ss_kind {
	SS_CLASSIC = 1,
	SS_2022,
};

struct ss_method {
	const char *name;
	enum ss_kind kind;
	enum aead_alg aead; /* of streams; packets of 2022-...-chacha20-poly1305 use XChaCha */
	uint8_t key_len;    /* also the length of salts */
	bool identity;	    /* has identity headers, hence several users and key chains */
};

/* The first key_len bytes count. Secret. */
struct ss_key {
	uint8_t b[SS_KEY_MAX];
};

/* A client's keys; exactly one with classic and ChaCha methods. Secret. */
struct ss_chain {
	const struct ss_method *method;
	struct ss_key key[SS_CHAIN_MAX];
	size_t n;
};

/* What is to be said about a password. Offsets count from its first byte. */
enum ss_note_kind {
	SS_NOTE_NONE = 0,
	SS_NOTE_EMPTY,	/* nothing there, or between two colons; at @at */
	SS_NOTE_BASE64, /* the byte at @at cannot be part of base64 */
	SS_NOTE_SHORT,	/* @found bytes where @expected are needed */
	SS_NOTE_CHAIN,	/* @found keys where the method takes @expected at most */
	SS_NOTE_HASHED, /* a remark, no fault: @found bytes were hashed to @expected, as Xray does
			 */
};

struct ss_note {
	enum ss_note_kind kind;
	size_t at, found, expected;
};

/**
 * A method by its name in a configuration, or NULL. Names of 2022 are compared
 * exactly, classic ones and their aliases without regard to case, as in Xray.
 */
const struct ss_method *ss_method_find(struct span name);
/** The @i-th method, or NULL past the last. */
const struct ss_method *ss_method_at(size_t i);

/**
 * One key from a password: of a classic server or client, or of one 2022 server
 * or user. 0, or -ERR_MALFORMED. @note (may be NULL) says why, or remarks on success.
 */
int ss_key_from_password(struct ss_key *out, const struct ss_method *m, struct span password,
			 struct ss_note *note);
/** A client's keys; for 2022 with AES a list joined by colons. As above. */
int ss_chain_from_password(struct ss_chain *out, const struct ss_method *m, struct span password,
			   struct ss_note *note);
/** The note in words, without the password; returns @out. */
char *ss_note_text(const struct ss_note *note, char *out, size_t cap);

void ss_key_wipe(struct ss_key *k);
void ss_chain_wipe(struct ss_chain *c);
/** The key that seals payload: the last of the chain. */
static inline const struct ss_key *ss_chain_user(const struct ss_chain *c)
{
	return &c->key[c->n - 1];
}

/** Subkey (key_len bytes) of a stream or classic packet with @salt (key_len bytes), or of a
 * 2022 packet with its session id. 0 or -ERR_NOMEM. */
int ss_subkey(uint8_t out[SS_KEY_MAX], const struct ss_method *m, const struct ss_key *k,
	      struct span salt);

/** The 16 bytes that stand for @k in identity headers. */
void ss_identity_hash(uint8_t out[SS_IDENTITY], const struct ss_method *m, const struct ss_key *k);
/** Key of the identity headers of a stream. */
void ss_identity_subkey(uint8_t out[SS_KEY_MAX], const struct ss_method *m, const struct ss_key *k,
			const uint8_t *salt);

#endif
