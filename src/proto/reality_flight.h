/*
 * What a target of REALITY answers to a ClientHello, read for its shape: which
 * records, how long each is, and a ServerHello to be used again.
 *
 *   slot 0   ServerHello         handshake
 *        1   01                  change_cipher_spec
 *        2   EncryptedExtensions ) application data; when the first is longer than
 *        3   Certificate         ) 512 bytes all four messages are taken to be in it
 *        4   CertificateVerify   ) (merged), otherwise each in its own record
 *        5   Finished            )
 *        6   whatever follows, if it is there already
 *
 * Lengths count the header of five bytes. No record may be longer than 8192.
 */
#ifndef GARENNE_PROTO_REALITY_FLIGHT_H
#define GARENNE_PROTO_REALITY_FLIGHT_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/tlshello.h"

enum {
	REALITY_SLOT_HELLO = 0,
	REALITY_SLOT_CCS,
	REALITY_SLOT_FIRST, /* EncryptedExtensions, or the whole of a merged flight */
	REALITY_SLOT_CERT,
	REALITY_SLOT_VERIFY,
	REALITY_SLOT_FINISHED,
	REALITY_SLOT_EXTRA,
	REALITY_SLOTS,
};

enum {
	REALITY_RECORD_MAX = 8192,
	REALITY_MERGED_ABOVE = 512,
	/* more than this is never looked at */
	REALITY_FLIGHT_MAX = REALITY_SLOTS * REALITY_RECORD_MAX,
};

enum reality_flight_fault {
	REALITY_FLIGHT_OK = 0,
	REALITY_FLIGHT_ALERT,	  /* an alert in place of a ServerHello */
	REALITY_FLIGHT_NO_TLS,	  /* no TLS record in place of one */
	REALITY_FLIGHT_BAD_HELLO, /* no ServerHello, or not in a record by itself */
	REALITY_FLIGHT_RETRY,	  /* a HelloRetryRequest */
	REALITY_FLIGHT_NO_TLS13,
	REALITY_FLIGHT_SUITE,	 /* none of the three */
	REALITY_FLIGHT_SHARE,	 /* neither X25519 nor X25519MLKEM768 */
	REALITY_FLIGHT_LONG,	 /* a record of more than REALITY_RECORD_MAX */
	REALITY_FLIGHT_SEQUENCE, /* other records than expected after the ServerHello */
	REALITY_FLIGHT_FAULT_MAX_,
};

struct reality_flight {
	struct tlshello_server hello; /* in the bytes that were decoded */
	bool merged;
	uint16_t slot[REALITY_SLOTS]; /* 0: no such record */
};

/**
 * Reads all that the target has sent so far. Returns 1 when the shape is known,
 * 0 when more is needed, -ERR_MALFORMED and the reason in *@fault when it will never be one that
 * can be used; @out is untouched then.
 */
int reality_flight_decode(struct reality_flight *out, struct span in,
			  enum reality_flight_fault *fault);
/** A clause for the log. Never NULL. */
const char *reality_flight_text(enum reality_flight_fault f);

#endif
