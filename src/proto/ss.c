#include "proto/ss.h"

#include <stdio.h>
#include <strings.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/blake3.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"
#include "crypto/sha.h"

static const struct ss_method methods[] = {
	{"aes-128-gcm", SS_CLASSIC, AEAD_AES_128_GCM, 16, false},
	{"aes-256-gcm", SS_CLASSIC, AEAD_AES_256_GCM, 32, false},
	{"chacha20-ietf-poly1305", SS_CLASSIC, AEAD_CHACHA20_POLY1305, 32, false},
	{"xchacha20-ietf-poly1305", SS_CLASSIC, AEAD_XCHACHA20_POLY1305, 32, false},
	{"2022-blake3-aes-128-gcm", SS_2022, AEAD_AES_128_GCM, 16, true},
	{"2022-blake3-aes-256-gcm", SS_2022, AEAD_AES_256_GCM, 32, true},
	{"2022-blake3-chacha20-poly1305", SS_2022, AEAD_CHACHA20_POLY1305, 32, false},
};

static const struct {
	const char *alias, *name;
} aliases[] = {
	{"aead_aes_128_gcm", "aes-128-gcm"},
	{"aead_aes_256_gcm", "aes-256-gcm"},
	{"chacha20-poly1305", "chacha20-ietf-poly1305"},
	{"aead_chacha20_poly1305", "chacha20-ietf-poly1305"},
	{"xchacha20-poly1305", "xchacha20-ietf-poly1305"},
	{"aead_xchacha20_poly1305", "xchacha20-ietf-poly1305"},
};

enum {
	METHODS = sizeof(methods) / sizeof(methods[0]),
	ALIASES = sizeof(aliases) / sizeof(aliases[0]),
	PASSWORD_BYTES = 512, /* of a decoded 2022 key; longer than anybody's */
};

static bool same_name(struct span name, const char *want, bool exact)
{
	if (name.n != strlen(want))
		return false;
	if (exact)
		return memcmp(name.p, want, name.n) == 0;
	return strncasecmp((const char *)name.p, want, name.n) == 0;
}

const struct ss_method *ss_method_find(struct span name)
{
	for (size_t i = 0; i < ALIASES; i++)
		if (same_name(name, aliases[i].alias, false))
			name = span_str(aliases[i].name);
	for (size_t i = 0; i < METHODS; i++)
		if (same_name(name, methods[i].name, methods[i].kind == SS_2022))
			return &methods[i];
	return NULL;
}

const struct ss_method *ss_method_at(size_t i)
{
	return i < METHODS ? &methods[i] : NULL;
}

static int complain(struct ss_note *note, enum ss_note_kind kind, size_t at, size_t found,
		    size_t expected)
{
	if (note)
		*note = (struct ss_note){kind, at, found, expected};
	return -ERR_MALFORMED;
}

/* Peers differ on padding, line ends and unused bits; whatever one of them takes, we take. */
static int key_from_base64(struct ss_key *out, const struct ss_method *m, struct span text,
			   size_t at, struct ss_note *note)
{
	uint8_t raw[PASSWORD_BYTES], hash[SHA256_LEN];
	size_t bad = 0;
	ssize_t n = base64_decode(raw, sizeof(raw), text,
				  BASE64_ANY_PAD | BASE64_SKIP_CRLF | BASE64_ANY_BITS, &bad);
	int err = 0;

	if (n == -ERR_LIMIT)
		err = complain(note, SS_NOTE_BASE64, at + base64_len(sizeof(raw), 0), 0, 0);
	else if (n < 0)
		err = complain(note, SS_NOTE_BASE64, at + bad, 0, 0);
	else if (n == 0)
		err = complain(note, SS_NOTE_EMPTY, at, 0, m->key_len);
	else if (n < m->key_len)
		err = complain(note, SS_NOTE_SHORT, at, (size_t)n, m->key_len);
	else if (n == m->key_len)
		memcpy(out->b, raw, m->key_len);
	else if ((err = sha256(hash, span_of(raw, (size_t)n))) == 0) {
		memcpy(out->b, hash, m->key_len);
		complain(note, SS_NOTE_HASHED, at, (size_t)n, m->key_len);
	}
	secret_wipe(raw, sizeof(raw));
	secret_wipe(hash, sizeof(hash));
	return err;
}

static int read_key(struct ss_key *out, const struct ss_method *m, struct span text, size_t at,
		    struct ss_note *note)
{
	struct ss_key k = {{0}};
	int err = 0;

	if (text.n == 0)
		return complain(note, SS_NOTE_EMPTY, at, 0, m->key_len);
	if (m->kind == SS_CLASSIC)
		kdf_bytes_to_key(k.b, m->key_len, text);
	else
		err = key_from_base64(&k, m, text, at, note);
	if (err == 0)
		*out = k;
	ss_key_wipe(&k);
	return err;
}

int ss_key_from_password(struct ss_key *out, const struct ss_method *m, struct span password,
			 struct ss_note *note)
{
	if (note)
		*note = (struct ss_note){0};
	return read_key(out, m, password, 0, note);
}

int ss_chain_from_password(struct ss_chain *out, const struct ss_method *m, struct span password,
			   struct ss_note *note)
{
	struct ss_chain c = {.method = m};
	size_t max = m->identity ? SS_CHAIN_MAX : 1, parts = 1, at = 0;
	int err = 0;

	if (note)
		*note = (struct ss_note){0};
	if (m->kind == SS_2022)
		for (size_t i = 0; i < password.n; i++)
			parts += password.p[i] == ':';
	if (parts > max)
		return complain(note, SS_NOTE_CHAIN, 0, parts, max);
	while (c.n < parts && err == 0) {
		const uint8_t *from = password.p + at;
		const uint8_t *colon = parts > 1 ? memchr(from, ':', password.n - at) : NULL;
		size_t len = colon ? (size_t)(colon - from) : password.n - at;

		err = read_key(&c.key[c.n++], m, span_of(from, len), at, note);
		at += len + 1;
	}
	if (err == 0)
		*out = c;
	ss_chain_wipe(&c);
	return err;
}

char *ss_note_text(const struct ss_note *n, char *out, size_t cap)
{
	switch (n->kind) {
	case SS_NOTE_EMPTY:
		snprintf(out, cap, "no key at byte %zu", n->at);
		break;
	case SS_NOTE_BASE64:
		snprintf(out, cap, "bad base64 at byte %zu", n->at);
		break;
	case SS_NOTE_SHORT:
		snprintf(out, cap, "key at byte %zu: found %zu bytes, expected %zu", n->at,
			 n->found, n->expected);
		break;
	case SS_NOTE_CHAIN:
		snprintf(out, cap, "found %zu keys, the method takes %zu at most", n->found,
			 n->expected);
		break;
	case SS_NOTE_HASHED:
		snprintf(out, cap,
			 "key at byte %zu: %zu bytes hashed to %zu; only Xray does the same", n->at,
			 n->found, n->expected);
		break;
	case SS_NOTE_NONE:
	default:
		snprintf(out, cap, "ok");
		break;
	}
	return out;
}

void ss_key_wipe(struct ss_key *k)
{
	secret_wipe(k, sizeof(*k));
}

void ss_chain_wipe(struct ss_chain *c)
{
	secret_wipe(c, sizeof(*c));
}

int ss_subkey(uint8_t out[SS_KEY_MAX], const struct ss_method *m, const struct ss_key *k,
	      struct span salt)
{
	struct span key = span_of(k->b, m->key_len);

	if (m->kind == SS_2022) {
		struct span parts[2] = {key, salt};

		blake3_derive_key(out, m->key_len, "shadowsocks 2022 session subkey", parts, 2);
		return 0;
	}
	return kdf_hkdf(SHA_ALG_1, out, m->key_len, key, salt, span_str("ss-subkey"));
}

void ss_identity_hash(uint8_t out[SS_IDENTITY], const struct ss_method *m, const struct ss_key *k)
{
	blake3_hash(out, SS_IDENTITY, span_of(k->b, m->key_len));
}

void ss_identity_subkey(uint8_t out[SS_KEY_MAX], const struct ss_method *m, const struct ss_key *k,
			const uint8_t *salt)
{
	struct span parts[2] = {span_of(k->b, m->key_len), span_of(salt, m->key_len)};

	blake3_derive_key(out, m->key_len, "shadowsocks 2022 identity subkey", parts, 2);
}
