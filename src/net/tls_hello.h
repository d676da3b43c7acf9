/* Which ClientHello the word "fingerprint" of the settings asks for. */
#ifndef GARENNE_NET_TLS_HELLO_H
#define GARENNE_NET_TLS_HELLO_H

#include <stdbool.h>

struct fingerprint;

struct tls_hello_choice {
	const char *profile; /* name of a built-in text; NULL: OpenSSL's own hello */
	bool no_alpn;
};

/** @name in lower case, one of Xray's; "" or NULL is OpenSSL's. What stands for "any" is drawn anew
 * by each call. */
struct tls_hello_choice tls_hello_choose(const char *name);
/** Gives the profile, freed with free(), or NULL and the cause in @why[TLS_WHY_MAX].
 */
struct fingerprint *tls_hello_load(const char *profile, char *why);

#endif
