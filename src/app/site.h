/*
 * What a TLS site shows to a visitor, as far as it matters for the target of a
 * REALITY server: how it answers ClientHellos, record by record, its protocols
 * and certificate, and what its first page says. Several connections, one after
 * the other; nothing of it needs a right or a key.
 */
#ifndef GARENNE_APP_SITE_H
#define GARENNE_APP_SITE_H

#include "app/grades.h"
#include "app/hello.h"
#include "base/addr.h"
#include "proto/reality_flight.h"

/* The answer to one hello. */
struct site_shape {
	bool answered; /* something came */
	bool complete; /* all of a flight that REALITY can use came */
	enum reality_flight_fault fault;
	uint16_t group, suite;
	bool merged;
	uint16_t slot[REALITY_SLOTS];
};

struct site {
	struct ipport to;
	char name[ADDR_NAME_MAX + 1]; /* asked for; "" for none */
	int dial_errno;		      /* not 0: nobody there */
	struct site_shape browser, plain;
	/* a whole handshake */
	bool tls, h2, named; /* named: the certificate is for @name */
	char failure[128];   /* when !tls */
	char version[16];
	long verify; /* X509_V_* */
	bool self_signed;
	size_t chain_len;
	unsigned chain_n;
	int days_left;
	/* the first page over HTTP/1.1; 0: no answer */
	int status;
	char location[256];
};

/** Looks at the server at @to under @name. */
void site_look(struct site *s, const struct ipport *to, const char *name);
/** Judges it as a target of REALITY; @mldsa: the server has an ML-DSA-65 key. */
void site_judge(const struct site *s, bool mldsa, struct grades *g);
/** True for a Location on another host than @name. */
bool site_location_elsewhere(const char *location, const char *name);

#endif
