/*
 * ocspStapling: keeps a fresh answer of the authority's responder beside each
 * certificate that asks for it. Asked in the background on one loop, over plain
 * HTTP, as the certificate says; each answer is verified before it is shown.
 *
 * Without an answer the certificate is shown alone, as if nothing had been set. A
 * failure is one line in the log, until it has worked again. An answer that could
 * not be renewed is shown until its own end.
 */
#ifndef GARENNE_NET_OCSP_STAPLE_H
#define GARENNE_NET_OCSP_STAPLE_H

#include "conf/stream.h"
#include "net/loop.h"

struct resolver;
struct ocsp_stapler;
struct tls_pair;

enum {
	OCSP_RETRY_MIN_S = 5,	/* after a failure the interval counts, within these bounds */
	OCSP_RETRY_MAX_S = 300,
	OCSP_TIMEOUT_MS = 15000,
	OCSP_ANSWER_MAX = 65536,
};

struct ocsp_terms {
	struct loop *loop;
	struct resolver *resolver;	 /* for responders with a name; may be NULL */
	const struct conf_sockopt *opts; /* of the sockets; may be NULL */
};

/** For up to @max certificates. Borrows what @t points to. Gives, or NULL. */
struct ocsp_stapler *ocsp_stapler_new(const struct ocsp_terms *t, size_t max);
/** Takes NULL too. */
void ocsp_stapler_free(struct ocsp_stapler *o);
/** From now on place @i is @p (a reference is taken), asked at once and then each @every_s; the one
 * that was there before is forgotten. Nothing happens when it is the same. */
void ocsp_stapler_set(struct ocsp_stapler *o, size_t i, struct tls_pair *p, uint32_t every_s);

#endif
