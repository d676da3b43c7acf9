/*
 * What a connection talks, told from its first bytes, for routing. Four
 * recognisers; each sees only what the client sent:
 *
 *   http1       a request line of one of seven methods, with its Host
 *   tls         a complete ClientHello, in as many records as it takes
 *   quic        Initial packets of version 1 (RFC 9001), 2 (RFC 9369) and draft 29,
 *               decrypted; the ClientHello may lie over several, in any order
 *   bittorrent  the handshake over TCP, the SYN of uTP (BEP 29)
 *
 * A name found is the client's claim and no more. It is lower-case, without port,
 * and never an IP: what is none, or not spelt like a host name, is "".
 *
 * Like Xray, but: a ClientHello or a whole HTTP header without a name still has
 * its protocol, where Xray sees nothing; packet numbers of QUIC may be longer than
 * a byte; uTP is recognised at all, which Xray's test of its clock prevents.
 */
#ifndef GARENNE_PROTO_SNIFF_H
#define GARENNE_PROTO_SNIFF_H

#include "base/addr.h"
#include "base/span.h"

enum sniff_proto {
	SNIFF_UNKNOWN = 0,
	SNIFF_HTTP1,
	SNIFF_TLS,
	SNIFF_QUIC,
	SNIFF_BITTORRENT,
	SNIFF_PROTO_MAX_,
};

enum sniff_verdict {
	SNIFF_NONE = 0, /* no recogniser will ever know these bytes */
	SNIFF_MORE,	/* more bytes may tell; result.proto may be known already */
	SNIFF_FOUND,
};

enum {
	SNIFF_HELLO_MAX = 8192,	      /* of a ClientHello; those with post-quantum keys have 2000 */
	SNIFF_STREAM_MAX = 32767,     /* bytes of a stream worth collecting */
	SNIFF_QUIC_PACKET_MAX = 2048, /* of an Initial packet */
	SNIFF_QUIC_DATAGRAMS = 16,    /* after so many a QUIC client without a name is just that */
};

struct sniff_result {
	enum sniff_proto proto;
	char domain[ADDR_NAME_MAX + 1];
	/* HTTP: borrowed from the bytes given; headers: whole lines, those that were there */
	struct span method, path, headers;
};

/** "http1", "tls", "quic", "bittorrent"; "" for unknown. */
const char *sniff_proto_name(enum sniff_proto p);

/** Judges everything a client has sent so far on a stream; *@out is set in any case. */
enum sniff_verdict sniff_stream(struct sniff_result *out, struct span first);

/* What is known of the datagrams of one flow. Large: on the heap, and only while sniffing.
 * Starts as zeros. */
struct sniff_state {
	uint8_t hello[SNIFF_HELLO_MAX];
	uint8_t have[SNIFF_HELLO_MAX / 8]; /* a bit per byte of @hello */
	uint8_t cid[20], cid_len;	   /* of the first packet: all keys follow from it */
	bool quic;			   /* an authentic Initial packet was seen */
	uint8_t datagrams;
};

/** Judges the next datagram of a flow from the client; *@out is set in any case. */
enum sniff_verdict sniff_datagram(struct sniff_state *st, struct sniff_result *out,
				  struct span datagram);

/**
 * Takes the next line off *@headers. True and the parts, blanks round the value
 * removed; lines without a colon are skipped. False at the end.
 */
bool sniff_header_next(struct span *headers, struct span *name, struct span *value);

/* The recognisers, each on its own. */

enum sniff_verdict sniff_http(struct sniff_result *out, struct span in);
enum sniff_verdict sniff_tls(struct sniff_result *out, struct span in);
enum sniff_verdict sniff_bittorrent(struct sniff_result *out, struct span in);
enum sniff_verdict sniff_utp(struct sniff_result *out, struct span datagram);
enum sniff_verdict sniff_quic(struct sniff_state *st, struct sniff_result *out,
			      struct span datagram);

/* For the recognisers. */

/** The name in lower case, or "" if it is none. */
void sniff_set_domain(struct sniff_result *out, struct span name);
/**
 * A handshake message that begins at @in, as in TLS and QUIC: FOUND and the name
 * in @out, MORE, or NONE if it is no valid ClientHello.
 */
enum sniff_verdict sniff_hello(struct sniff_result *out, struct span in);

#endif
