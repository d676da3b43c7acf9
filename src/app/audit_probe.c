/*
 * The probes. Each is said to the hub and to the reference in the same words,
 * and the two answers are compared. Before the handshake the reference of a TLS
 * inbound is a bare OpenSSL server in a thread of this process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app/audit.h"
#include "app/audit_tls.h"
#include "app/hello.h"
#include "base/err.h"
#include "crypto/rand.h"
#include "proxy/fallback.h"

enum {
	GARBAGE = 160,
	DRIP_PIECES = 24,
	DRIP_MS = 20,
	TRUNCATED = 90,
	A_YEAR_S = 365 * 86400,
};

struct probe {
	const char *what;
	/* Says it; false when the other side hung up in between. @hub: not to the reference. */
	bool (*speak)(const struct audit *a, int fd, bool hub);
	enum { ANYWHERE = 0, AND_ENDS, REALITY_ONLY } where; /* AND_ENDS: and says no more */
};

/* ---- things to say without any handshake ---- */

static bool say_nothing(const struct audit *a, int fd, bool hub)
{
	(void)a;
	(void)fd;
	(void)hub;
	return true;
}

static bool say_end(const struct audit *a, int fd, bool hub)
{
	(void)a;
	(void)hub;
	return shutdown(fd, SHUT_WR) == 0;
}

static bool say_garbage(const struct audit *a, int fd, bool hub)
{
	uint8_t b[GARBAGE];

	(void)a;
	(void)hub;
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 167 + 0x9d);
	return knock_send(fd, span_of(b, sizeof(b)));
}

static bool say_http(const struct audit *a, int fd, bool hub)
{
	char text[ADDR_NAME_MAX + 64];
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", a->name);

	(void)hub;
	return knock_send(fd, span_of(text, (size_t)n));
}

static bool say_alert(const struct audit *a, int fd, bool hub)
{
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 40};

	(void)a;
	(void)hub;
	return knock_send(fd, span_of(alert, sizeof(alert)));
}

/* ---- ClientHellos ---- */

static bool say_hello_as(int fd, enum hello_kind kind, const char *name)
{
	const struct hello_spec spec = {.kind = kind, .name = name};
	struct hello h;

	return hello_make(&h, &spec) == 0 && knock_send(fd, span_of(h.b, h.n));
}

static bool say_hello(const struct audit *a, int fd, bool hub)
{
	(void)hub;
	return say_hello_as(fd, HELLO_BROWSER, a->name);
}

static bool say_plain_hello(const struct audit *a, int fd, bool hub)
{
	(void)hub;
	return say_hello_as(fd, HELLO_PLAIN, a->name);
}

static bool say_other_name(const struct audit *a, int fd, bool hub)
{
	(void)a;
	(void)hub;
	return say_hello_as(fd, HELLO_BROWSER, "no-such-site.example");
}

static bool say_no_name(const struct audit *a, int fd, bool hub)
{
	(void)a;
	(void)hub;
	return say_hello_as(fd, HELLO_BROWSER, "");
}

static bool say_old_hello(const struct audit *a, int fd, bool hub)
{
	(void)hub;
	return say_hello_as(fd, HELLO_OLD, a->name);
}

static bool make_hello(const struct audit *a, struct hello *h)
{
	const struct hello_spec spec = {.kind = HELLO_BROWSER, .name = a->name};

	return hello_make(h, &spec) == 0;
}

/* A record longer than any may be. */
static bool say_oversized(const struct audit *a, int fd, bool hub)
{
	struct hello h;

	(void)hub;
	if (!make_hello(a, &h))
		return false;
	h.b[3] = h.b[4] = 0xff;
	return knock_send(fd, span_of(h.b, h.n));
}

static bool say_wrong_version(const struct audit *a, int fd, bool hub)
{
	struct hello h;

	(void)hub;
	if (!make_hello(a, &h))
		return false;
	h.b[1] = 5; /* of the record, and of the hello */
	h.b[9] = 5;
	return knock_send(fd, span_of(h.b, h.n));
}

static bool say_half_a_hello(const struct audit *a, int fd, bool hub)
{
	struct hello h;

	(void)hub;
	return make_hello(a, &h) && knock_send(fd, span_of(h.b, TRUNCATED)) &&
	       shutdown(fd, SHUT_WR) == 0;
}

static bool say_slowly(const struct audit *a, int fd, bool hub)
{
	const struct timespec pause = {.tv_nsec = DRIP_MS * 1000000L};
	struct hello h;

	(void)hub;
	if (!make_hello(a, &h))
		return false;
	for (size_t i = 0; i < DRIP_PIECES; i++) {
		size_t from = h.n * i / DRIP_PIECES, to = h.n * (i + 1) / DRIP_PIECES;

		if (!knock_send(fd, span_of(h.b + from, to - from)))
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- ClientHellos of somebody who knows the key ---- */

static bool make_sealed(const struct audit *a, struct hello *h, int64_t shift_s, bool wrong_id)
{
	const struct conf_reality_server *r = a->in->stream.reality;
	struct reality_id id = {.version = {26, 3, 27}, .time_s = (uint32_t)(time(NULL) + shift_s)};
	const struct hello_spec spec = {
		.kind = HELLO_BROWSER, .name = a->name, .server_key = r->keys[0], .id = &id};

	memcpy(id.short_id, r->short_ids[0], sizeof(id.short_id));
	if (wrong_id)
		rand_fill(id.short_id, sizeof(id.short_id));
	return hello_make(h, &spec) == 0;
}

/* The site behind hears an ordinary hello, which is what these must look like. */
static bool say_sealed(const struct audit *a, int fd, bool hub, int64_t shift_s, bool wrong_id)
{
	struct hello h;

	if (!hub)
		return say_hello(a, fd, hub);
	return make_sealed(a, &h, shift_s, wrong_id) && knock_send(fd, span_of(h.b, h.n));
}

static bool say_replayed(const struct audit *a, int fd, bool hub)
{
	struct hello h;
	int before;

	if (!hub)
		return say_hello(a, fd, hub);
	if (!make_sealed(a, &h, 0, false))
		return false;
	before = knock_dial(&a->hub, a->patience.first);
	if (before == -1)
		return false;
	a->ours->n = 0; /* read to the end and forgotten */
	if (knock_send(before, span_of(h.b, h.n)))
		reply_read(a->ours, before, &a->patience);
	a->ours->n = 0;
	close(before);
	return knock_send(fd, span_of(h.b, h.n));
}

static bool say_stale(const struct audit *a, int fd, bool hub)
{
	return say_sealed(a, fd, hub, -A_YEAR_S, false);
}

static bool say_wrong_short_id(const struct audit *a, int fd, bool hub)
{
	return say_sealed(a, fd, hub, 0, true);
}

static const struct probe probes[] = {
	{"silence", say_nothing, ANYWHERE},
	{"end at once", say_end, AND_ENDS},
	{"garbage", say_garbage, ANYWHERE},
	{"plain HTTP", say_http, ANYWHERE},
	{"an alert first", say_alert, ANYWHERE},
	{"browser's hello", say_hello, ANYWHERE},
	{"X25519 alone", say_plain_hello, ANYWHERE},
	{"wrong name", say_other_name, ANYWHERE},
	{"no name", say_no_name, ANYWHERE},
	{"TLS 1.2 only", say_old_hello, ANYWHERE},
	{"oversized record", say_oversized, ANYWHERE},
	{"wrong version", say_wrong_version, ANYWHERE},
	{"half a hello, end", say_half_a_hello, AND_ENDS},
	{"hello drop by drop", say_slowly, ANYWHERE},
	{"replayed hello", say_replayed, REALITY_ONLY},
	{"stale session id", say_stale, REALITY_ONLY},
	{"wrong short id", say_wrong_short_id, REALITY_ONLY},
};

/* ---- asking ---- */

static void converse(const struct audit *a, const struct probe *p, int fd, bool hub,
		     struct reply *r)
{
	r->n = 0;
	r->unreachable = fd == -1;
	r->end = KNOCK_OPEN;
	if (fd == -1)
		return;
	p->speak(a, fd, hub);
	reply_read(r, fd, &a->patience);
	close(fd);
}

/* The library's server closes where another resets; that is not what is asked here. */
static void level_ends(struct reply *r)
{
	if (r->end == KNOCK_RESET)
		r->end = KNOCK_FIN;
}

static void judge_probe(struct audit *a, const struct probe *p, struct audit_server *bare)
{
	struct reply *ours = a->ours, *theirs = a->theirs;
	char why[REPLY_WHY_MAX] = "", text[64];
	enum grade g;

	converse(a, p, knock_dial(&a->hub, a->patience.first), true, ours);
	if (bare) {
		converse(a, p, audit_server_visit(bare), false, theirs);
		audit_server_leave(bare);
		level_ends(ours);
		level_ends(theirs);
	} else {
		converse(a, p, knock_dial(&a->target, a->patience.first), false, theirs);
	}
	g = reply_compare(ours, theirs, why);
	/* Some libraries send an alert to somebody who has gone, others do not. */
	if (g == GRADE_FAIL && bare && p->where == AND_ENDS && ours->end == theirs->end)
		g = GRADE_NOTE;
	if (g == GRADE_OK && bare && p->speak == say_http && ours->n == 0)
		grade(&a->g, GRADE_NOTE, p->what,
		      "no answer: as a bare server, but nginx and others say 400 to that");
	else if (g == GRADE_OK)
		grade(&a->g, g, p->what, "as %s: %s", bare ? "any server" : "the target",
		      reply_text(ours, text, sizeof(text)));
	else
		grade(&a->g, g, p->what, "unlike %s: %s", bare ? "a bare server" : "the target",
		      why);
}

/* ---- behind the handshake ---- */

static const char http10[] = "GET / HTTP/1.0\r\n\r\n";
static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
static const char inner_garbage[] = "\x01\x02\x03 this is no request\r\n\r\n";

static const struct inner {
	const char *what, *alpn; /* as in a ClientHello; "" for none */
	const char *text;
	size_t n; /* 0: a GET of HTTP/1.1 */
} inners[] = {
	{"page, HTTP/1.0", "", http10, sizeof(http10) - 1},
	{"page, HTTP/1.1", "\x08http/1.1", "", 0},
	{"HTTP/2 preface", "\x02h2", h2_preface, sizeof(h2_preface) - 1},
	{"garbage inside", "", inner_garbage, sizeof(inner_garbage) - 1},
};

/* What the fallback says to the same without TLS. */
static void ask_fallback(const struct audit *a, const char *alpn, struct span text, struct reply *r)
{
	const struct conf_fallback *f = fallback_choose(&a->in->vless, a->name, alpn, text);
	int fd = f ? audit_dial_fallback(f, a->patience.first) : -1;

	r->n = 0;
	r->end = KNOCK_OPEN;
	r->unreachable = fd == -1;
	if (fd == -1)
		return;
	if (knock_send(fd, text))
		reply_read(r, fd, &a->patience);
	close(fd);
}

static bool is_h2(const struct reply *r)
{
	return r->n >= 9 && r->b[0] == 0 && r->b[3] == 4; /* SETTINGS come first */
}

static void judge_inner(struct audit *a, const struct inner *in)
{
	struct reply *ours = a->ours, *theirs = a->theirs;
	const bool reality = a->in->stream.reality != NULL;
	char get[ADDR_NAME_MAX + 64], alpn[16] = "", why[REPLY_WHY_MAX] = "", text[64];
	int n = snprintf(get, sizeof(get),
			 "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a->name);
	struct span say = in->n ? span_of(in->text, in->n) : span_of(get, (size_t)n);
	enum grade g;

	audit_ask_tls(&a->hub, a->name, in->alpn, say, &a->patience, ours, alpn);
	if (*in->alpn && strcmp(in->alpn + 1, alpn) != 0 && !ours->unreachable) {
		grade(&a->g, GRADE_NOTE, in->what, "%s is not agreed on", in->alpn + 1);
		return;
	}
	if (reality)
		audit_ask_tls(&a->target, a->name, in->alpn, say, &a->patience, theirs, alpn);
	else
		ask_fallback(a, alpn, say, theirs);
	g = reply_compare(ours, theirs, why);
	if (ours->unreachable && theirs->unreachable)
		grade(&a->g, GRADE_FAIL, in->what, "neither answers");
	else if (g != GRADE_OK)
		grade(&a->g, g, in->what, "unlike the %s: %s", reality ? "target" : "fallback",
		      why);
	else if (strcmp(alpn, "h2") == 0 && !is_h2(ours))
		grade(&a->g, GRADE_FAIL, in->what, "h2 is agreed on, but nobody speaks it");
	else
		grade(&a->g, g, in->what, "as the %s: %s", reality ? "target" : "fallback",
		      reply_text(ours, text, sizeof(text)));
}

size_t audit_probe(struct audit *a)
{
	const bool reality = a->in->stream.reality != NULL;
	struct audit_server *bare = reality ? NULL : audit_server_new(a->in->stream.tls);
	size_t n = 0;
	int fd;

	if (reality && a->target.port == 0) {
		grade(&a->g, GRADE_NOTE, "probes", "none: the target cannot be asked");
		return 0;
	}
	if (!reality && !bare) {
		grade(&a->g, GRADE_FAIL, "probes", "the certificate or its key cannot be used");
		return 0;
	}
	fd = knock_dial(&a->hub, a->patience.first);
	if (fd == -1) {
		grade(&a->g, GRADE_FAIL, "probes", "none: the hub: %s", strerror(errno));
		audit_server_free(bare);
		return 0;
	}
	close(fd);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		if (probes[i].where == REALITY_ONLY && !reality)
			continue;
		judge_probe(a, &probes[i], bare);
		n++;
	}
	for (size_t i = 0; i < sizeof(inners) / sizeof(inners[0]); i++, n++)
		judge_inner(a, &inners[i]);
	audit_server_free(bare);
	return n;
}
