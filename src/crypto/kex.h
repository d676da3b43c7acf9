/*
 * Key exchange of TLS 1.3, the client's half: a key pair for a named group, the
 * share that is sent, and the secret that follows from the server's share (RFC
 * 8446 sections 4.2.8 and 7.4, draft-ietf-tls-ecdhe-mlkem).
 *
 *   X25519                 32 bytes each way
 *   P-256, P-384, P-521    uncompressed points
 *   X25519MLKEM768         encapsulation key | X25519 key -> ciphertext | X25519 key;
 *                          the secret is ML-KEM's followed by X25519's
 */
#ifndef GARENNE_CRYPTO_KEX_H
#define GARENNE_CRYPTO_KEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Named groups, RFC 8446 section 4.2.7 and draft-ietf-tls-ecdhe-mlkem. */
enum tls_group {
	TLS_GROUP_P256 = 23,
	TLS_GROUP_P384 = 24,
	TLS_GROUP_P521 = 25,
	TLS_GROUP_X25519 = 29,
	TLS_GROUP_X25519MLKEM768 = 0x11ec,
};

enum {
	KEX_SHARE_MAX = 1184 + 32,
	KEX_SECRET_MAX = 66, /* P-521 */
};

struct kex;

/** A fresh key pair. Gives, or NULL with *@err: -ERR_UNSUPPORTED for another group, -ERR_NOMEM,
 * -ERR_SYS. */
struct kex *kex_new(uint16_t group, int *err);
/** Wipes. Takes NULL too. */
void kex_free(struct kex *k);
uint16_t kex_group(const struct kex *k);
/** What is sent to the peer; valid as long as @k. */
struct span kex_share(const struct kex *k);
/** The private X25519 key of the pair, also of the hybrid one; NULL for other groups. Borrowed. */
const uint8_t *kex_x25519(const struct kex *k);
/** The secret with the peer who sent @share. *@n bytes into @out, wiped by the caller. 0, or
 * -ERR_MALFORMED when @share is none of this group. */
int kex_finish(const struct kex *k, struct span share, uint8_t out[KEX_SECRET_MAX], size_t *n);

#endif
