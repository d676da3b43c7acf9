/*
 * REALITY (XTLS/REALITY): how a client proves itself inside a ClientHello, and a
 * server inside a certificate, to each other and to nobody else.
 *
 *   shared   X25519(client's ephemeral key, server's long-term key)
 *   AuthKey  HKDF-SHA256(shared, salt = random[0..19], info = "REALITY")
 *   sid      AES-256-GCM(AuthKey, nonce = random[20..31], AAD = the ClientHello with
 *            32 zeros for its session id) of
 *                x | y | z | 0 | u32 seconds since 1970 | short id (8)
 *   cert     an Ed25519 certificate without content whose signature is
 *            HMAC-SHA512(AuthKey, public key); with ML-DSA-65 its only extension is
 *            a signature of HMAC-SHA512(AuthKey, public key | ClientHello | ServerHello)
 *
 * A "hello" here is the whole handshake message with its header of four bytes,
 * without record headers. The ephemeral key is the plain X25519 share when there
 * is one, else the X25519 half of the X25519MLKEM768 share.
 */
#ifndef GARENNE_PROTO_REALITY_H
#define GARENNE_PROTO_REALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
	REALITY_KEY_LEN = 32, /* X25519 keys and AuthKey */
	REALITY_RANDOM_LEN = 32,
	REALITY_RANDOM_AT = 6, /* in a hello: header, version */
	REALITY_SID_LEN = 32,
	REALITY_SID_AT = 39, /* header, version, random, length */
	REALITY_SHORT_ID_LEN = 8,
	REALITY_CERT_KEY_LEN = 32, /* Ed25519 */
	REALITY_MAC_LEN = 64,	   /* HMAC-SHA512 */
	REALITY_MLDSA_LEN = 3309,  /* an ML-DSA-65 signature */
	REALITY_CERT_LEN = 178,
	REALITY_CERT_MLDSA_LEN = 3509,
};

/* What a client says of itself. */
struct reality_id {
	uint8_t version[3]; /* x, y, z of Xray */
	uint32_t time_s;    /* UTC, since 1970 */
	uint8_t short_id[REALITY_SHORT_ID_LEN];
};

/** AuthKey from the shared secret and the client's random. 0 or -ERR_NOMEM. */
int reality_auth_key(uint8_t out[REALITY_KEY_LEN], const uint8_t shared[REALITY_KEY_LEN],
		     const uint8_t random[REALITY_RANDOM_LEN]);
/**
 * Writes the sealed session id into the @n bytes of @hello, which has a session id
 * of 32 bytes; whatever these are. 0, -ERR_MALFORMED for a hello without such a
 * place, -ERR_NOMEM, -ERR_SYS.
 */
int reality_id_seal(uint8_t *hello, size_t n, const uint8_t auth_key[REALITY_KEY_LEN],
		    const struct reality_id *id);
/** 0, -ERR_MALFORMED as above, -ERR_AUTH when the id was not sealed with this key, -ERR_NOMEM.
 * @out is untouched on failure. */
int reality_id_open(struct reality_id *out, struct span hello,
		    const uint8_t auth_key[REALITY_KEY_LEN]);

/* The parts of a certificate that matter; spans of its DER. */
struct reality_cert {
	struct span key;       /* Ed25519 public key, 32 bytes; empty for another kind */
	struct span signature; /* of the certificate */
	struct span extension; /* value of the first extension; empty when there is none */
};

/** The whole of @der is one X.509 certificate: 0 or -ERR_MALFORMED. */
int reality_cert_decode(struct reality_cert *out, struct span der);
/** True when the signature is the MAC that only a holder of @auth_key can make. */
bool reality_cert_proves(const struct reality_cert *c, const uint8_t auth_key[REALITY_KEY_LEN]);
/** The certificate with @key and its MAC. @mldsa: a signature of reality_cert_digest, or NULL.
 * 0, -ERR_LIMIT, -ERR_NOMEM. */
int reality_cert_encode(struct wr *out, const uint8_t key[REALITY_CERT_KEY_LEN],
			const uint8_t auth_key[REALITY_KEY_LEN], const uint8_t *mldsa);
/** What the ML-DSA-65 signature (empty context) is made of. 0 or -ERR_NOMEM. */
int reality_cert_digest(uint8_t out[REALITY_MAC_LEN], const uint8_t auth_key[REALITY_KEY_LEN],
			const uint8_t key[REALITY_CERT_KEY_LEN], struct span client_hello,
			struct span server_hello);

/* ---- the server's decision ---- */

enum reality_verdict {
	REALITY_OURS = 0,
	REALITY_NO_HELLO,   /* not a ClientHello at all */
	REALITY_NO_TLS13,   /* TLS 1.3 is not offered */
	REALITY_NO_ID,	    /* the session id has not 32 bytes */
	REALITY_NO_SHARE,   /* no X25519 key */
	REALITY_BAD_NAME,   /* the server name is none of ours */
	REALITY_BAD_KEY,    /* the session id does not open: a stranger, or another public key */
	REALITY_OLD_CLIENT, /* below minClientVer */
	REALITY_NEW_CLIENT, /* above maxClientVer */
	REALITY_BAD_CLOCK,  /* further from our time than maxTimeDiff */
	REALITY_BAD_SHORT_ID,
	REALITY_FAILED, /* out of memory or no random numbers: nothing is known */
	REALITY_VERDICT_MAX_,
};

struct reality_rules {
	const uint8_t (*keys)[REALITY_KEY_LEN]; /* private; tried in this order */
	size_t n_keys;
	const char *const *names; /* "" stands for a hello without a name */
	size_t n_names;
	const uint8_t (*short_ids)[REALITY_SHORT_ID_LEN];
	size_t n_short_ids;
	uint32_t min_version, max_version; /* x << 16 | y << 8 | z; max 0: no limit */
	uint64_t max_diff_ms;		   /* 0: the time is not looked at */
};

/* What a ClientHello offers, borrowed from it. */
struct reality_offer {
	struct span hello;
	struct span name;   /* as written; empty without one */
	bool tls13;	    /* supported_versions has 0x0304 */
	const uint8_t *key; /* 32 bytes: the X25519 key that counts, or NULL */
};

struct reality_finding {
	bool known; /* the id was opened: @id, @auth_key and @key_index are set */
	struct reality_id id;
	uint8_t auth_key[REALITY_KEY_LEN]; /* wiped by the caller */
	size_t key_index;
};

/**
 * Judges by all rules; the first that fails is the result, in the order of the
 * enum. An id is opened even when the name is wrong, so that a log can tell a
 * misconfigured client from a stranger. @now_ms is UTC since 1970. @out is
 * always set.
 */
enum reality_verdict reality_judge(const struct reality_rules *rules,
				   const struct reality_offer *offer, uint64_t now_ms,
				   struct reality_finding *out);
/** A sentence for the log. Never NULL. */
const char *reality_verdict_text(enum reality_verdict v);

#endif
