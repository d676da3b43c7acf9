/*
 * Share links of VLESS servers, as phone apps exchange them:
 *
 *   vless://ID@HOST:PORT?key=value&key=value#NAME
 *
 * There is no standard, but a proposal (XTLS/Xray-core discussion 716) that all
 * apps follow in the main and each in its own way. What is written here is the
 * common part of all of them; what is read is more liberal. A link holds
 * secrets: no message quotes it.
 */
#ifndef GARENNE_PROTO_SHARELINK_H
#define GARENNE_PROTO_SHARELINK_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/span.h"

enum sharelink_security {
	SHARELINK_NONE = 0,
	SHARELINK_TLS,
	SHARELINK_REALITY,
};

enum {
	SHARELINK_ID_MAX = 64,
	SHARELINK_TEXT_MAX = 256,
	SHARELINK_MAX = 4096, /* bytes of a whole link */
};

/* Texts are NUL-terminated, without control characters; "" is absent. */
struct sharelink {
	char id[SHARELINK_ID_MAX]; /* secret */
	struct addr server;
	enum sharelink_security security;
	char sni[SHARELINK_TEXT_MAX];
	char fp[32];
	char alpn[64]; /* "h2,http/1.1" */
	char pbk[64];  /* REALITY: public key */
	char sid[20];  /* REALITY: short id */
	char spx[SHARELINK_TEXT_MAX];
	char pcs[SHARELINK_TEXT_MAX]; /* pins of certificates */
	char flow[32];
	char name[SHARELINK_TEXT_MAX];
};

enum sharelink_fault {
	SHARELINK_FAULT_NONE = 0,
	SHARELINK_FAULT_SCHEME,
	SHARELINK_FAULT_ID,
	SHARELINK_FAULT_SERVER,
	SHARELINK_FAULT_TYPE,	    /* a transport that is not raw TCP */
	SHARELINK_FAULT_ENCRYPTION, /* not "none" */
	SHARELINK_FAULT_SECURITY,
	SHARELINK_FAULT_FLOW, /* unknown, or without TLS and REALITY */
	SHARELINK_FAULT_INSECURE,
	SHARELINK_FAULT_TEXT, /* too long, or with control characters */
};

/** Words for a fault; never NULL. */
const char *sharelink_fault_text(enum sharelink_fault f);
/** Writes the link without NUL. 0, -ERR_LIMIT, or -ERR_MALFORMED when decode would not take it. */
int sharelink_encode(struct wr *out, const struct sharelink *in);
/** Reads a whole link; blanks around it do not count. Returns the bytes consumed, or
 * -ERR_MALFORMED with @fault (may be NULL) set and @out untouched. */
ssize_t sharelink_decode(struct sharelink *out, struct span in, enum sharelink_fault *fault);

#endif
