/*
 * What a browser's ClientHello looks like, as data: one text file for each
 * (configs/fingerprints/NAME.fp, built into the program), and the encoder that
 * makes hellos of it.
 *
 *   suites grease 1301 ...           cipher suites in order, hexadecimal; may be repeated
 *   extension TYPE [BYTES]           an extension with a fixed body
 *   extension TYPE KIND [ARGS]       one that is filled in, see below
 *   extension grease [BYTES]         one of a reserved type (RFC 8701)
 *   shuffle ... end                  extensions between these come in any order
 *   ja3 MD5, ja4 TEXT                what the hello with both usual ALPN names hashes to
 *
 *   sni      the server name; left out when there is none
 *   alpn     the protocols; left out when there are none
 *   alps     application settings, "h2"; left out unless that is offered
 *   groups, shares, versions LIST    numbers, "grease" among them
 *   ech AEADS LENGTHS                what a client without an ECH configuration sends
 *                                    (GREASE ECH): one of the AEADs, one of the lengths
 *   padding  as BoringSSL pads hellos of 256 to 511 bytes to 512
 *
 * A hello is a pure function of the profile, what is wanted, and 32 random
 * bytes: the same again gives the same GREASE values and the same order, as the
 * second hello after a HelloRetryRequest must have them.
 */
#ifndef GARENNE_PROTO_FINGERPRINT_H
#define GARENNE_PROTO_FINGERPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
	FINGERPRINT_SUITES_MAX = 48,
	FINGERPRINT_EXTENSIONS_MAX = 24,
	FINGERPRINT_LIST_MAX = 12,
	FINGERPRINT_BODY_MAX = 64,
	FINGERPRINT_SHARES_MAX = 4,
	FINGERPRINT_SEED_LEN = 32,
	FINGERPRINT_HELLO_MAX = 8192, /* of a hello; the cookie of a server may be long */
	FINGERPRINT_JA4_LEN = 36,
	FINGERPRINT_JA3_LEN = 32,
	FINGERPRINT_GREASE = 0x0a0a, /* stands for a reserved value in lists */
};

enum fingerprint_kind {
	FINGERPRINT_FIXED = 0,
	FINGERPRINT_GREASED,
	FINGERPRINT_SNI,
	FINGERPRINT_ALPN,
	FINGERPRINT_ALPS,
	FINGERPRINT_GROUPS,
	FINGERPRINT_SHARES,
	FINGERPRINT_VERSIONS,
	FINGERPRINT_ECH,
	FINGERPRINT_PADDING,
};

struct fingerprint_extension {
	uint16_t type;
	uint8_t kind;
	uint8_t n; /* of list or of body */
	union {
		uint16_t list[FINGERPRINT_LIST_MAX]; /* groups, shares, versions, lengths of ECH */
		uint8_t body[FINGERPRINT_BODY_MAX];  /* fixed, GREASE */
	};
	uint8_t aeads[2], n_aeads; /* ECH */
};

struct fingerprint {
	uint16_t suites[FINGERPRINT_SUITES_MAX];
	struct fingerprint_extension extensions[FINGERPRINT_EXTENSIONS_MAX];
	uint8_t n_suites, n_extensions;
	uint8_t shuffle_from, shuffle_to;  /* of extensions: [from, to) */
	char ja3[FINGERPRINT_JA3_LEN + 1]; /* "" for one that shuffles */
	char ja4[FINGERPRINT_JA4_LEN + 1];
};

struct fingerprint_fault {
	unsigned line; /* from 1 */
	const char *what;
};

/** Reads a text of the form above. 0, or -ERR_MALFORMED and the place in @fault; @out is untouched
 * then. */
int fingerprint_parse(struct fingerprint *out, struct span text, struct fingerprint_fault *fault);
/** The built-in text called @name; an empty span when there is none. */
struct span fingerprint_text(const char *name);
/** The name of built-in text number @i, NULL behind the last. */
const char *fingerprint_name(size_t i);

struct fingerprint_share {
	uint16_t group;
	struct span key;
};

/* One hello. */
struct fingerprint_hello {
	const uint8_t *random; /* 32 bytes */
	struct span session_id;
	const uint8_t *seed; /* 32 random bytes, not the ones above: they show in the hello */
	struct span sni;     /* empty: no such extension */
	struct span alpn;    /* u8 length and name each; empty: no such extension */
	/* a key for each group that the profile shares; or just one, after a HelloRetryRequest */
	const struct fingerprint_share *shares;
	size_t n_shares;
	bool retried;	    /* the second hello: one share and no reserved one */
	struct span cookie; /* of the HelloRetryRequest */
};

/** The groups that a profile shares, without GREASE, into @groups. Returns how many. */
size_t fingerprint_shares(const struct fingerprint *fp, uint16_t groups[FINGERPRINT_SHARES_MAX]);
/** True when @group is among those the profile supports. */
bool fingerprint_has_group(const struct fingerprint *fp, uint16_t group);
/** True when @suite is offered. */
bool fingerprint_has_suite(const struct fingerprint *fp, uint16_t suite);
/** Appends the ClientHello message, with its header of four bytes. 0, -ERR_LIMIT, or -ERR_NOMEM. */
int fingerprint_encode(struct wr *out, const struct fingerprint *fp,
		       const struct fingerprint_hello *h);

#endif
