#include "app/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/tlshello.h"

enum {
	HEADER = 5,
	TYPE_ALERT = 21,
	TYPE_HANDSHAKE = 22,
	TYPE_DATA = 23,
	/* Signatures by ECDSA differ in length by a few bytes from one handshake to the next. */
	SIGNATURE_SLACK = 8,
};

void reply_read(struct reply *r, int fd, const struct patience *p)
{
	uint64_t until = knock_now_ms() + p->first;

	while (r->n < REPLY_MAX) {
		size_t part = knock_read(fd, r->b + r->n, REPLY_MAX - r->n, until, &r->end);

		if (part == 0)
			return;
		r->n += part;
		until = knock_now_ms() + p->quiet;
	}
}

static const char *end_text(enum knock_end end)
{
	return end == KNOCK_FIN ? "closes" : end == KNOCK_RESET ? "resets" : "stays open";
}

char *reply_text(const struct reply *r, char *out, size_t cap)
{
	if (r->unreachable)
		snprintf(out, cap, "no connection");
	else if (r->n == 0)
		snprintf(out, cap, "says nothing and %s", end_text(r->end));
	else
		snprintf(out, cap, "says %zu bytes and %s", r->n, end_text(r->end));
	return out;
}

/* ---- TLS ---- */

struct record {
	uint8_t type;
	uint16_t version, len;
	struct span body; /* what of it is there */
};

static bool next_record(struct record *out, struct rd *r)
{
	if (r->n < HEADER)
		return false;
	out->type = rd_u8(r);
	out->version = rd_u16(r);
	out->len = rd_u16(r);
	out->body = rd_take(r, r->n < out->len ? r->n : out->len);
	return true;
}

static bool is_tls(const struct reply *r)
{
	return r->n >= HEADER && r->b[0] >= 20 && r->b[0] <= TYPE_DATA && r->b[1] == 3;
}

static bool same_extensions(struct span a, struct span b)
{
	struct rd ra = rd_of(a), rb = rd_of(b);
	uint16_t ta, tb;
	struct span body;

	for (;;) {
		bool more_a = tlshello_extension_next(&ra, &ta, &body);
		bool more_b = tlshello_extension_next(&rb, &tb, &body);

		if (!more_a || !more_b)
			return more_a == more_b;
		if (ta != tb)
			return false;
	}
}

/* The difference of two ServerHellos; NULL when there is none, or when they are none. */
static const char *hello_difference(struct span a, struct span b)
{
	struct tlshello_server ha, hb;
	bool is_a = tlshello_server_decode(&ha, a) > 0, is_b = tlshello_server_decode(&hb, b) > 0;

	if (is_a != is_b)
		return "no ServerHello where the other has one, or the other way round";
	if (!is_a)
		return NULL;
	if (ha.legacy_version != hb.legacy_version || ha.version != hb.version)
		return "another version";
	if (ha.retry != hb.retry)
		return "a HelloRetryRequest on one side";
	if (ha.suite != hb.suite)
		return "another cipher suite";
	if (ha.group != hb.group)
		return "another group";
	if (ha.session_id.n != hb.session_id.n)
		return "a session id of another length";
	return same_extensions(ha.extensions, hb.extensions) ? NULL : "other extensions";
}

static bool lengths_near(uint16_t a, uint16_t b)
{
	return a > b ? a - b <= SIGNATURE_SLACK : b - a <= SIGNATURE_SLACK;
}

static enum grade compare_record(const struct record *a, const struct record *b, unsigned i,
				 char *why)
{
	if (a->type != b->type || a->version != b->version) {
		snprintf(why, REPLY_WHY_MAX, "record %u is of type %u, not %u", i + 1, a->type,
			 b->type);
		return GRADE_FAIL;
	}
	if (a->type == TYPE_ALERT && !span_eq(a->body, b->body)) {
		snprintf(why, REPLY_WHY_MAX, "another alert: %u instead of %u",
			 a->body.n > 1 ? a->body.p[1] : 0u, b->body.n > 1 ? b->body.p[1] : 0u);
		return GRADE_FAIL;
	}
	if (a->type == TYPE_HANDSHAKE && hello_difference(a->body, b->body)) {
		snprintf(why, REPLY_WHY_MAX, "%s", hello_difference(a->body, b->body));
		return GRADE_FAIL;
	}
	if (!lengths_near(a->len, b->len)) {
		snprintf(why, REPLY_WHY_MAX, "record %u has %u bytes, not %u", i + 1, a->len,
			 b->len);
		return GRADE_FAIL;
	}
	return GRADE_OK;
}

static enum grade compare_tls(const struct reply *ours, const struct reply *theirs, char *why)
{
	struct rd ra = rd_of(span_of(ours->b, ours->n)), rb = rd_of(span_of(theirs->b, theirs->n));

	for (unsigned i = 0;; i++) {
		struct record a, b;
		bool more_a = next_record(&a, &ra), more_b = next_record(&b, &rb);
		enum grade g;

		if (!more_a && !more_b)
			return GRADE_OK;
		if (more_a != more_b) {
			snprintf(why, REPLY_WHY_MAX, "%s records than the %u",
				 more_a ? "more" : "fewer", i);
			return GRADE_FAIL;
		}
		g = compare_record(&a, &b, i, why);
		if (g != GRADE_OK)
			return g;
	}
}

/* ---- anything else ---- */

/* Dates are as long as each other. */
static void mask_date(struct reply *r)
{
	char *at;

	r->b[r->n] = 0;
	at = strcasestr((char *)r->b, "\r\ndate:");
	for (at = at ? at + 7 : NULL; at && *at && *at != '\r'; at++)
		*at = '-';
}

static enum grade compare_bytes(struct reply *ours, struct reply *theirs, char *why)
{
	const char *a = (const char *)ours->b, *b = (const char *)theirs->b;
	size_t line_a, line_b;

	mask_date(ours);
	mask_date(theirs);
	if (span_eq(span_of(ours->b, ours->n), span_of(theirs->b, theirs->n)))
		return GRADE_OK;
	line_a = strcspn(a, "\r\n");
	line_b = strcspn(b, "\r\n");
	if (strncmp(a, "HTTP/", 5) == 0 && line_a == line_b && memcmp(a, b, line_a) == 0) {
		snprintf(why, REPLY_WHY_MAX,
			 "the same status, but %zu bytes instead of %zu, or others", ours->n,
			 theirs->n);
		return GRADE_WARN;
	}
	snprintf(why, REPLY_WHY_MAX, "other bytes: %zu instead of %zu", ours->n, theirs->n);
	return GRADE_FAIL;
}

enum grade reply_compare(struct reply *ours, struct reply *theirs, char *why)
{
	char a[64], b[64];
	enum grade g = GRADE_OK;

	if (ours->unreachable != theirs->unreachable || (ours->n == 0) != (theirs->n == 0)) {
		snprintf(why, REPLY_WHY_MAX, "it %s, the other %s", reply_text(ours, a, sizeof(a)),
			 reply_text(theirs, b, sizeof(b)));
		return GRADE_FAIL;
	}
	if (ours->n > 0)
		g = is_tls(ours) && is_tls(theirs) ? compare_tls(ours, theirs, why)
						   : compare_bytes(ours, theirs, why);
	if (g != GRADE_OK || ours->end == theirs->end)
		return g;
	snprintf(why, REPLY_WHY_MAX, "it %s, the other %s", reply_text(ours, a, sizeof(a)),
		 reply_text(theirs, b, sizeof(b)));
	return GRADE_WARN;
}
