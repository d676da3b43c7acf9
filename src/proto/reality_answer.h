/*
 * The server's handshake flight of REALITY: ours by its keys, the target's by its
 * looks. The ServerHello is the target's with another key share; then an empty
 * EncryptedExtensions, the certificate that proves us (reality.h),
 * CertificateVerify by Ed25519 and Finished (RFC 8446 section 4.4), in records
 * padded to the lengths of the target's. Authenticated ends only.
 */
#ifndef GARENNE_PROTO_REALITY_ANSWER_H
#define GARENNE_PROTO_REALITY_ANSWER_H

#include "crypto/tls13.h"
#include "proto/reality.h"
#include "proto/reality_flight.h"

enum {
	/* ServerHello, change_cipher_spec, four records */
	REALITY_ANSWER_MAX = 6 * REALITY_RECORD_MAX,
	REALITY_WHY_MAX = 128,
};

struct mldsa65_key;

/* Who signs: an Ed25519 pair for the life of the process, and perhaps ML-DSA-65. */
struct reality_signer {
	uint8_t seed[REALITY_CERT_KEY_LEN], pub[REALITY_CERT_KEY_LEN];
	const struct mldsa65_key *mldsa; /* NULL: no ML-DSA-65 */
};

/* What the rest of the connection needs. Wiped by whoever holds it. */
struct reality_session {
	uint16_t suite;
	enum sha_alg hash;
	struct tls_secret client_handshake, server_handshake, client_app, server_app;
	uint8_t th[SHA_LEN_MAX]; /* transcript up to the server's Finished */
};

/**
 * The whole flight but the record for REALITY_SLOT_EXTRA, which is protected by
 * @session->server_app. @hello is the client's, @flight the target's answer to it. 0, or
 *   -ERR_UNSUPPORTED  the target's records are too short, or it chose a share that the client did
 *                     not offer or that is no key; @why[REALITY_WHY_MAX] says which
 *   -ERR_LIMIT        no room in @out
 *   -ERR_NOMEM, -ERR_SYS
 */
int reality_answer_encode(struct wr *out, struct reality_session *session,
			  const struct reality_flight *flight, const struct tlshello_client *hello,
			  const uint8_t auth_key[REALITY_KEY_LEN],
			  const struct reality_signer *signer, char why[REALITY_WHY_MAX]);
/** Is @message the Finished that the client must send? */
bool reality_answer_finished(const struct reality_session *session, struct span message);

#endif
