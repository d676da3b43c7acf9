#include "proto/reality_flight.h"

#include "base/err.h"
#include "crypto/tls13.h"

enum {
	RECORD_HEADER_LEN = 5,
	TYPE_CCS = 20,
	TYPE_ALERT = 21,
	TYPE_HANDSHAKE = 22,
	TYPE_DATA = 23,
	X25519_SHARE_LEN = 32,
	HYBRID_SHARE_LEN = 1088 + 32,
};

/* The record in front of @r as far as it is there. */
struct record {
	uint8_t type;
	size_t total;	  /* with its header */
	struct span body; /* empty while it is not complete */
};

/* 1 with a header, 0 when it is not there yet, or -ERR_*. Takes nothing. */
static int look(struct record *out, const struct rd *at, uint8_t type,
		enum reality_flight_fault *fault)
{
	struct rd r = *at;
	uint16_t version, len;

	*fault = REALITY_FLIGHT_SEQUENCE;
	if (r.n > 0 && r.p[0] != type)
		return -ERR_MALFORMED;
	out->type = rd_u8(&r);
	version = rd_u16(&r);
	len = rd_u16(&r);
	if (r.bad)
		return 0;
	if (version != TLS_VERSION_1_2)
		return -ERR_MALFORMED;
	*fault = REALITY_FLIGHT_LONG;
	out->total = RECORD_HEADER_LEN + (size_t)len;
	if (out->total > REALITY_RECORD_MAX)
		return -ERR_MALFORMED;
	out->body = rd_take(&r, len);
	return 1;
}

/* The same for a complete record, which is taken. */
static int take(struct record *out, struct rd *at, uint8_t type, enum reality_flight_fault *fault)
{
	int n = look(out, at, type, fault);

	if (n <= 0)
		return n;
	if (out->total > at->n)
		return 0;
	rd_take(at, out->total);
	return 1;
}

static bool share_usable(const struct tlshello_server *h)
{
	return (h->group == TLS_GROUP_X25519 && h->share.n == X25519_SHARE_LEN) ||
	       (h->group == TLS_GROUP_X25519MLKEM768 && h->share.n == HYBRID_SHARE_LEN);
}

static enum reality_flight_fault judge_hello(const struct tlshello_server *h)
{
	if (h->retry)
		return REALITY_FLIGHT_RETRY;
	if (h->legacy_version != TLS_VERSION_1_2 || h->version != TLS_VERSION_1_3)
		return REALITY_FLIGHT_NO_TLS13;
	if (!tls13_suite_find(h->suite))
		return REALITY_FLIGHT_SUITE;
	return share_usable(h) ? REALITY_FLIGHT_OK : REALITY_FLIGHT_SHARE;
}

/* The first record tells most of the stories. */
static int take_hello(struct reality_flight *f, struct rd *r, enum reality_flight_fault *fault)
{
	struct record rec;
	int n = take(&rec, r, TYPE_HANDSHAKE, fault);

	if (n < 0 && *fault == REALITY_FLIGHT_SEQUENCE)
		*fault = r->p[0] == TYPE_ALERT ? REALITY_FLIGHT_ALERT : REALITY_FLIGHT_NO_TLS;
	if (n <= 0)
		return n;
	*fault = REALITY_FLIGHT_BAD_HELLO;
	if (tlshello_server_decode(&f->hello, rec.body) != (ssize_t)rec.body.n)
		return -ERR_MALFORMED;
	f->slot[REALITY_SLOT_HELLO] = (uint16_t)rec.total;
	*fault = judge_hello(&f->hello);
	return *fault ? -ERR_MALFORMED : 1;
}

static int take_ccs(struct reality_flight *f, struct rd *r, enum reality_flight_fault *fault)
{
	struct record rec;
	int n = take(&rec, r, TYPE_CCS, fault);

	if (n <= 0)
		return n;
	*fault = REALITY_FLIGHT_SEQUENCE;
	if (rec.body.n != 1 || rec.body.p[0] != 1)
		return -ERR_MALFORMED;
	f->slot[REALITY_SLOT_CCS] = (uint16_t)rec.total;
	return 1;
}

static int take_protected(struct reality_flight *f, struct rd *r, enum reality_flight_fault *fault)
{
	struct record rec;
	int n = look(&rec, r, TYPE_DATA, fault);

	if (n <= 0)
		return n;
	f->merged = rec.total > REALITY_MERGED_ABOVE;
	f->slot[REALITY_SLOT_FIRST] = (uint16_t)rec.total;
	if (f->merged) /* its length is all that is needed */
		return 1;
	for (int i = REALITY_SLOT_FIRST; i <= REALITY_SLOT_FINISHED; i++) {
		n = take(&rec, r, TYPE_DATA, fault);
		if (n <= 0)
			return n;
		f->slot[i] = (uint16_t)rec.total;
	}
	/* What has come at the same time belongs to the picture; what comes later does not. */
	if (look(&rec, r, TYPE_DATA, fault) > 0)
		f->slot[REALITY_SLOT_EXTRA] = (uint16_t)rec.total;
	return 1;
}

int reality_flight_decode(struct reality_flight *out, struct span in,
			  enum reality_flight_fault *fault)
{
	struct reality_flight f = {0};
	struct rd r = rd_of(in);
	int n = take_hello(&f, &r, fault);

	if (n > 0)
		n = take_ccs(&f, &r, fault);
	if (n > 0)
		n = take_protected(&f, &r, fault);
	if (n < 0)
		return n;
	*fault = REALITY_FLIGHT_OK;
	if (n > 0)
		*out = f;
	return n;
}

const char *reality_flight_text(enum reality_flight_fault f)
{
	static const char *const texts[REALITY_FLIGHT_FAULT_MAX_] = {
		[REALITY_FLIGHT_OK] = "it answers as it should",
		[REALITY_FLIGHT_ALERT] = "it refuses the ClientHello with an alert",
		[REALITY_FLIGHT_NO_TLS] = "it does not answer with TLS",
		[REALITY_FLIGHT_BAD_HELLO] = "it does not answer with a ServerHello",
		[REALITY_FLIGHT_RETRY] = "it asks for another key share (HelloRetryRequest)",
		[REALITY_FLIGHT_NO_TLS13] = "it does not agree on TLS 1.3",
		[REALITY_FLIGHT_SUITE] = "it chooses an unknown cipher suite",
		[REALITY_FLIGHT_SHARE] = "it chooses neither X25519 nor X25519MLKEM768",
		[REALITY_FLIGHT_LONG] = "it sends records of more than 8192 bytes",
		[REALITY_FLIGHT_SEQUENCE] = "its records are not those of a TLS 1.3 handshake",
	};

	return f < REALITY_FLIGHT_FAULT_MAX_ ? texts[f] : "unknown";
}
