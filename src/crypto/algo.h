/*
 * The algorithms of libcrypto, looked up once per process: libcrypto 3 looks a
 * name up at every use of EVP_sha1() and its like, which costs more than hashing
 * a short message. What is kept here never changes after the first call.
 * For this folder and TLS's record layer.
 */
#ifndef GARENNE_CRYPTO_ALGO_H
#define GARENNE_CRYPTO_ALGO_H

#include <openssl/evp.h>

#include "crypto/aead.h"
#include "crypto/sha.h"

enum algo_block { ALGO_AES_128_ECB, ALGO_AES_256_ECB, ALGO_BLOCK_MAX_ };

/** NULL when this libcrypto lacks the algorithm. */
const EVP_MD *algo_hash(enum sha_alg alg);
/** The cipher below @alg: XChaCha20 is built on ChaCha20. NULL when lacking. */
const EVP_CIPHER *algo_aead(enum aead_alg alg);
const EVP_CIPHER *algo_block(enum algo_block block);

/** A key pair of "X25519" or "ED25519" of which both halves are known: libcrypto computes the public
 * one otherwise, which takes as long as whatever the pair is needed for. NULL: memory is out. */
EVP_PKEY *algo_pair(const char *type, const uint8_t priv[32], const uint8_t pub[32]);

#endif
