#include "proto/jointoken.h"

#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "crypto/sha.h"
#include "proto/netaddr.h"

enum { LENGTH = 2, CHECK = 4 };

static const char family[] = "garenne-join-";
static const char prefix[] = "garenne-join-1.";

/* ---- texts ---- */

static bool node_ok(struct span s)
{
	if (s.n == 0 || s.n > JOINTOKEN_NODE_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!islower(s.p[i]) && !isdigit(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

static bool server_name_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

/* A counted text into @out of @cap bytes with NUL; false when it is not what @ok wants. */
static bool text_read(struct rd *r, char *out, size_t cap, bool (*ok)(struct span))
{
	struct span s = rd_take(r, rd_u8(r));

	if (r->bad || s.n >= cap || !ok(s))
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = 0;
	return true;
}

static bool text_write(struct wr *w, const char *text, bool (*ok)(struct span))
{
	struct span s = span_str(text);

	if (!ok(s))
		return false;
	wr_u8(w, (unsigned)s.n);
	wr_bytes(w, s.p, s.n);
	return true;
}

/* ---- one hub ---- */

static bool hub_read(struct rd *r, struct jointoken_hub *h)
{
	unsigned security = rd_u8(r), pinned;

	if (security > JOINTOKEN_CLEAR || netaddr_read_port_first(r, &h->address) != 1 ||
	    h->address.port == 0)
		return false;
	h->security = (enum jointoken_security)security;
	rd_copy(r, h->account.b, UUID_LEN);
	if (security == JOINTOKEN_CLEAR)
		return !r->bad;
	if (!text_read(r, h->server_name, sizeof(h->server_name), server_name_ok))
		return false;
	if (security == JOINTOKEN_REALITY) {
		rd_copy(r, h->public_key, JOINTOKEN_KEY);
		rd_copy(r, h->short_id, JOINTOKEN_SHORT_ID);
		return !r->bad;
	}
	pinned = rd_u8(r);
	h->pinned = pinned == 1;
	if (h->pinned)
		rd_copy(r, h->pin, JOINTOKEN_PIN);
	return !r->bad && pinned <= 1;
}

static bool hub_write(struct wr *w, const struct jointoken_hub *h)
{
	wr_u8(w, h->security);
	if (h->address.port == 0 || netaddr_write_port_first(w, &h->address) == -ERR_MALFORMED)
		return false;
	wr_bytes(w, h->account.b, UUID_LEN);
	if (h->security == JOINTOKEN_CLEAR)
		return true;
	if (!text_write(w, h->server_name, server_name_ok))
		return false;
	if (h->security == JOINTOKEN_REALITY) {
		wr_bytes(w, h->public_key, JOINTOKEN_KEY);
		wr_bytes(w, h->short_id, JOINTOKEN_SHORT_ID);
		return true;
	}
	wr_u8(w, h->pinned);
	if (h->pinned)
		wr_bytes(w, h->pin, JOINTOKEN_PIN);
	return true;
}

/* ---- the binary form ---- */

static bool body_read(struct rd *r, struct jointoken *out)
{
	rd_copy(r, out->secret, JOINTOKEN_SECRET);
	if (!text_read(r, out->node, sizeof(out->node), node_ok))
		return false;
	out->n_hubs = rd_u8(r);
	if (out->n_hubs == 0 || out->n_hubs > JOINTOKEN_HUBS_MAX)
		return false;
	for (size_t i = 0; i < out->n_hubs; i++)
		if (!hub_read(r, &out->hubs[i]))
			return false;
	return r->n == 0;
}

ssize_t jointoken_decode(struct jointoken *out, struct span in)
{
	struct rd r = rd_of(in), body;
	size_t n = rd_u16(&r);
	struct jointoken t = {.n_hubs = 0};
	uint8_t sum[SHA256_LEN];
	struct span check;
	ssize_t ret = -ERR_MALFORMED;

	if (!r.bad && n > JOINTOKEN_MAX - LENGTH - CHECK)
		return -ERR_MALFORMED;
	body = rd_of(rd_take(&r, n));
	check = rd_take(&r, CHECK);
	if (r.bad)
		return 0;
	if (sha256(sum, span_of(in.p, LENGTH + n)) != 0)
		return -ERR_NOMEM;
	if (memcmp(sum, check.p, CHECK) != 0)
		return -ERR_AUTH;
	if (body_read(&body, &t)) {
		*out = t;
		ret = (ssize_t)(LENGTH + n + CHECK);
	}
	secret_wipe(&t, sizeof(t));
	return ret;
}

int jointoken_encode(struct wr *out, const struct jointoken *in)
{
	uint8_t *start = out->p + out->n, sum[SHA256_LEN];
	size_t before = out->n, n;

	wr_u16(out, 0);
	wr_bytes(out, in->secret, JOINTOKEN_SECRET);
	if (!text_write(out, in->node, node_ok) || in->n_hubs == 0 ||
	    in->n_hubs > JOINTOKEN_HUBS_MAX)
		return -ERR_MALFORMED;
	wr_u8(out, (unsigned)in->n_hubs);
	for (size_t i = 0; i < in->n_hubs; i++)
		if (!hub_write(out, &in->hubs[i]))
			return -ERR_MALFORMED;
	n = out->n - before;
	if (out->bad || n > JOINTOKEN_MAX - CHECK)
		return -ERR_LIMIT;
	start[0] = (uint8_t)((n - LENGTH) >> 8);
	start[1] = (uint8_t)(n - LENGTH);
	if (sha256(sum, span_of(start, n)) != 0)
		return -ERR_NOMEM;
	wr_bytes(out, sum, CHECK);
	return out->bad ? -ERR_LIMIT : 0;
}

/* ---- the line ---- */

/* @text without blanks; returns the length, or -1 when it is longer than any token. */
static ssize_t squeeze(char out[JOINTOKEN_TEXT_MAX], struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (isspace(text.p[i]))
			continue;
		if (n == JOINTOKEN_TEXT_MAX - 1)
			return -1;
		out[n++] = (char)text.p[i];
	}
	out[n] = 0;
	return (ssize_t)n;
}

static enum jointoken_fault line_decode(struct jointoken *out, struct span line, size_t *at)
{
	uint8_t bytes[JOINTOKEN_MAX];
	struct span digits = {line.p + strlen(prefix), line.n - strlen(prefix)};
	/* A line that is cut may end in a digit with bits left over: it is short, not misspelt. */
	ssize_t n = base64_decode(bytes, sizeof(bytes), digits,
				  BASE64_URL | BASE64_RAW | BASE64_ANY_BITS, at), used;

	*at += strlen(prefix);
	if (n < 0)
		return n == -ERR_LIMIT	? JOINTOKEN_LONG
		       : *at >= line.n	? JOINTOKEN_SHORT
					: JOINTOKEN_CHARACTER;
	used = jointoken_decode(out, span_of(bytes, (size_t)n));
	secret_wipe(bytes, sizeof(bytes));
	*at = line.n;
	if (used > 0 && used < n) {
		secret_wipe(out, sizeof(*out));
		return JOINTOKEN_LONG;
	}
	return used > 0		   ? JOINTOKEN_GOOD
	       : used == 0	   ? JOINTOKEN_SHORT
	       : used == -ERR_AUTH ? JOINTOKEN_CHECKSUM
				   : JOINTOKEN_CONTENT;
}

int jointoken_parse(struct jointoken *out, struct span text, enum jointoken_fault *fault,
		    size_t *at)
{
	char line[JOINTOKEN_TEXT_MAX];
	ssize_t n = squeeze(line, text);
	size_t same = strlen(prefix);
	struct jointoken t = {.n_hubs = 0};

	*at = n < 0 ? 0 : (size_t)n;
	if (n < 0)
		*fault = JOINTOKEN_LONG;
	else if ((size_t)n < same && strncmp(line, prefix, (size_t)n) == 0 && n > 0)
		*fault = JOINTOKEN_SHORT;
	else if (strncmp(line, family, strlen(family)) != 0)
		*fault = JOINTOKEN_FOREIGN;
	else if (strncmp(line, prefix, same) != 0)
		*fault = JOINTOKEN_VERSION;
	else
		*fault = line_decode(&t, span_of(line, (size_t)n), at);
	if (*fault == JOINTOKEN_GOOD)
		*out = t;
	secret_wipe(line, sizeof(line));
	secret_wipe(&t, sizeof(t));
	return *fault == JOINTOKEN_GOOD ? 0 : -ERR_MALFORMED;
}

ssize_t jointoken_text(char out[JOINTOKEN_TEXT_MAX], const struct jointoken *in)
{
	size_t n = strlen(prefix);
	uint8_t bytes[JOINTOKEN_MAX];
	struct wr w = wr_of(bytes, sizeof(bytes));
	ssize_t len = jointoken_encode(&w, in);

	if (len == 0) {
		memcpy(out, prefix, n);
		len = base64_encode(out + n, JOINTOKEN_TEXT_MAX - n, span_of(bytes, w.n),
				    BASE64_URL | BASE64_RAW);
		len += len >= 0 ? (ssize_t)n : 0;
	}
	secret_wipe(bytes, sizeof(bytes));
	return len;
}
