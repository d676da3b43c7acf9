/*
 * ClientHellos for looking at a server from outside: of a browser, of a plain
 * TLS 1.3 or 1.2 client, and sealed as a client of REALITY does. Nobody means to
 * finish these handshakes, so the keys are thrown away.
 */
#ifndef GARENNE_APP_HELLO_H
#define GARENNE_APP_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "proto/fingerprint.h"
#include "proto/reality.h"

enum hello_kind {
	HELLO_BROWSER = 0, /* as Chrome: with X25519MLKEM768 */
	HELLO_PLAIN,	   /* TLS 1.3 with X25519 alone */
	HELLO_OLD,	   /* TLS 1.2 at best */
};

struct hello_spec {
	enum hello_kind kind;
	const char *name;	     /* "" or NULL: no server name */
	const uint8_t *server_key;   /* X25519, private: whose client this is; NULL: nobody's */
	const struct reality_id *id; /* with server_key */
};

/* One TLS record. */
struct hello {
	uint8_t b[5 + FINGERPRINT_HELLO_MAX];
	size_t n;
};

/** Every one has fresh random parts. 0 or -ERR_*. */
int hello_make(struct hello *out, const struct hello_spec *spec);

#endif
