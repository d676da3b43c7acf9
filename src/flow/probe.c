#include "flow/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "net/connect.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"
#include "proto/http.h"

enum {
	PORT_HTTP = 80,
	PORT_HTTPS = 443,
	REQUEST_MAX = 4096,
	STATUS_OK_MAX = 399,
	STATUS_FINAL_MIN = 200, /* below: the answer is still to come */
};

struct probe_target {
	struct addr to;
	char host[ADDR_NAME_MAX + 1];
	char request[REQUEST_MAX];
	size_t request_len;
	bool secure;
	struct conf_tls conf;
	struct tls_ctx *tls;
};

/* One step at a time: exactly one of f, dialling, shaking, s is set. */
struct probe {
	struct core *core;
	struct loop *loop;
	const struct probe_target *target;
	struct probe_user *user;
	uint64_t began_us, heard_us;

	struct flow *f; /* through an outbound */
	struct flow_taker taker;
	struct connect *dialling; /* straight */
	struct connect_user on_connect;
	struct tls_handshake *shaking;
	struct tls_user on_tls;
	struct stream *s; /* HTTP */
	struct stream_user on_stream;
	struct bufq out, in;
	size_t seen;

	struct timer deadline;
	struct orphan orphan;
	struct garbage garbage;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- what is asked ---- */

static bool starts_with(struct span s, const char *word)
{
	size_t n = strlen(word);

	return s.n >= n && http_same_word(span_of(s.p, n), word);
}

static struct span without(struct span s, size_t n)
{
	return span_of(s.p + n, s.n - n);
}

/* The length of @s up to the first of @stops. */
static size_t until(struct span s, const char *stops)
{
	size_t n = 0;

	while (n < s.n && !strchr(stops, s.p[n]))
		n++;
	return n;
}

static int parse_authority(struct probe_target *t, struct span authority)
{
	uint16_t port = t->secure ? PORT_HTTPS : PORT_HTTP;

	for (size_t i = authority.n; i > 0; i--)
		if (authority.p[i - 1] == '@')
			return -ERR_UNSUPPORTED; /* a password in a URL: not for a probe */
	if (addr_set_host(&t->to, authority, port) != 0 && addr_parse(&t->to, authority) != 0)
		return -ERR_MALFORMED;
	addr_host_text(&t->to, t->host, sizeof(t->host));
	return 0;
}

static int parse_url(struct probe_target *t, const char *url, const char *method)
{
	struct span s = span_str(url), authority, path;
	int n;

	if (starts_with(s, "https://"))
		t->secure = true;
	else if (!starts_with(s, "http://"))
		return -ERR_UNSUPPORTED;
	s = without(s, t->secure ? strlen("https://") : strlen("http://"));
	authority = span_of(s.p, until(s, "/?#"));
	s = without(s, authority.n);
	path = span_of(s.p, until(s, "#"));
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] <= ' ' || path.p[i] >= 0x7f)
			return -ERR_MALFORMED;
	if (!http_is_token(span_str(method)) || parse_authority(t, authority) != 0)
		return -ERR_MALFORMED;
	n = snprintf(t->request, sizeof(t->request),
		     "%s %s%.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: Mozilla/5.0\r\n"
		     "Accept: */*\r\nConnection: close\r\n\r\n",
		     method, path.n && path.p[0] == '/' ? "" : "/", (int)path.n,
		     (const char *)path.p, (int)authority.n, (const char *)authority.p);
	if (n < 0 || (size_t)n >= sizeof(t->request))
		return -ERR_LIMIT;
	t->request_len = (size_t)n;
	return 0;
}

struct probe_target *probe_target_new(const char *url, const char *method,
				      const struct conf_tls *tls, char *why)
{
	static const char *const alpn[] = {"http/1.1"};
	struct probe_target *t = calloc(1, sizeof(*t));
	int err;

	if (!t) {
		snprintf(why, PROBE_WHY_MAX, "out of memory");
		return NULL;
	}
	err = parse_url(t, url, method);
	if (err) {
		snprintf(why, PROBE_WHY_MAX, "%.150s: %s", url,
			 err == -ERR_UNSUPPORTED ? "not an http:// or https:// URL"
						 : "not a URL that can be asked for");
		free(t);
		return NULL;
	}
	if (!t->secure)
		return t;
	t->conf = (struct conf_tls){
		.server_name = "",
		.alpn = {alpn, 1},
		.fingerprint = "chrome",
		.master_key_log = "",
	};
	_Static_assert((int)TLS_CTX_WHY_MAX <= (int)PROBE_WHY_MAX, "one size for causes");
	t->tls = tls_ctx_new_client(tls ? tls : &t->conf, why);
	if (!t->tls) {
		free(t);
		return NULL;
	}
	return t;
}

void probe_target_free(struct probe_target *t)
{
	if (!t)
		return;
	tls_ctx_free(t->tls);
	free(t);
}

/* ---- the end ---- */

static void probe_destroy(struct garbage *g)
{
	free(container_of(g, struct probe, garbage));
}

static void dispose(struct probe *p, int err)
{
	loop_disown(&p->orphan);
	timer_stop(&p->deadline);
	if (p->f) {
		struct flow *f = p->f;

		p->f = NULL;
		f->taker = NULL;
		flow_abort(f, err);
	}
	connect_cancel(p->dialling);
	if (p->shaking)
		tls_cancel(p->shaking, err);
	stream_close(p->s, err);
	p->dialling = NULL;
	p->shaking = NULL;
	p->s = NULL;
	bufq_clear(&p->out);
	bufq_clear(&p->in);
	p->garbage.destroy = probe_destroy;
	loop_free_later(p->loop, &p->garbage);
}

static void fail(struct probe *p, int err, const char *why)
{
	struct probe_user *u = p->user;
	char copy[PROBE_WHY_MAX];

	snprintf(copy, sizeof(copy), "%s", why ? why : err_name(err));
	dispose(p, err);
	u->on_probed(u, err, 0, copy);
}

static void succeed(struct probe *p)
{
	struct probe_user *u = p->user;
	uint64_t us = p->heard_us - p->began_us;

	dispose(p, 0);
	u->on_probed(u, 0, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX, "");
}

static void on_deadline(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, deadline);

	fail(p, -ERR_TIMEOUT,
	     p->shaking ? "the TLS handshake was not finished in time" :
	     p->s	? "no answer in time" :
			  "no connection in time");
}

static void on_loop_end(struct orphan *o)
{
	dispose(container_of(o, struct probe, orphan), -ERR_CLOSED);
}

void probe_cancel(struct probe *p)
{
	dispose(p, -ERR_CLOSED);
}

/* ---- HTTP ---- */

static void want(struct probe *p)
{
	stream_want(p->s, (unsigned)STREAM_READ |
				  (bufq_empty(&p->out) ? 0u : (unsigned)STREAM_WRITE));
}

/* True when the probe is over. */
static bool judge_head(struct probe *p, const struct http_response *r)
{
	char why[64];

	if (r->status < STATUS_FINAL_MIN)
		return false;
	if (r->status <= STATUS_OK_MAX) {
		succeed(p);
		return true;
	}
	snprintf(why, sizeof(why), "the answer has status %u", r->status);
	fail(p, -ERR_REFUSED, why);
	return true;
}

static void take_heads(struct probe *p)
{
	for (;;) {
		struct http_response r;
		ssize_t n = http_response_decode(&r, bufq_pullup(&p->in, HTTP_HEAD_MAX), &p->seen);

		if (n == 0)
			break;
		if (n < 0) {
			fail(p, (int)n, "the answer is not HTTP");
			return;
		}
		if (judge_head(p, &r))
			return;
		bufq_drop(&p->in, (size_t)n);
		p->seen = 0;
	}
	want(p);
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct probe *p = container_of(u, struct probe, on_stream);
	ssize_t n;

	if ((events & STREAM_WRITE) && !bufq_empty(&p->out)) {
		n = stream_write(s, &p->out);
		if (n < 0) {
			fail(p, (int)n, stream_why(s));
			return;
		}
	}
	if (events & STREAM_READ) {
		n = stream_read(s, &p->in, STREAM_READ_MAX);
		if (n == -ERR_EOF || n == -ERR_END) {
			fail(p, -ERR_RESET, "the connection ended without an answer");
			return;
		}
		if (n < 0) {
			fail(p, (int)n, stream_why(s));
			return;
		}
		if (n > 0 && p->heard_us == 0)
			p->heard_us = now_us();
		take_heads(p);
		return;
	}
	want(p);
}

static void ask(struct probe *p, struct stream *s)
{
	p->s = s;
	p->on_stream.on_event = on_event;
	stream_attach(s, &p->on_stream);
	if (bufq_append(&p->out, span_of(p->target->request, p->target->request_len)) != 0)
		fail(p, -ERR_NOMEM, NULL);
	else
		want(p);
}

/* ---- the way there ---- */

static void on_shaken(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		      const char *why)
{
	struct probe *p = container_of(u, struct probe, on_tls);

	(void)info;
	p->shaking = NULL;
	if (s)
		ask(p, s);
	else
		fail(p, err, why);
}

static void secure(struct probe *p, struct stream *s)
{
	if (!p->target->secure) {
		ask(p, s);
		return;
	}
	p->on_tls.on_done = on_shaken;
	p->shaking = tls_client_start(s, p->target->tls, p->target->host, &p->on_tls);
	if (!p->shaking)
		fail(p, -ERR_NOMEM, NULL);
}

static void on_taken(struct flow_taker *t, struct stream *out, int err, const char *why)
{
	struct probe *p = container_of(t, struct probe, taker);

	p->f = NULL;
	if (out)
		secure(p, out);
	else
		fail(p, err, why);
}

static void on_connected(struct connect_user *u, struct connect *c,
			 const struct connect_result *res)
{
	struct probe *p = container_of(u, struct probe, on_connect);

	(void)c;
	p->dialling = NULL;
	if (res->stream)
		secure(p, res->stream);
	else
		fail(p, res->err, res->why);
}

static bool go_through(struct probe *p, struct outbound *o)
{
	p->f = flow_new(p->core, p->loop, CONF_TCP);
	if (!p->f)
		return false;
	p->taker.taken = on_taken;
	p->f->in_tag = "observatory";
	p->f->taker = &p->taker;
	p->f->out = o;
	p->f->target = p->target->to;
	flow_dispatch(p->f);
	return true;
}

static bool go_straight(struct probe *p, uint32_t timeout_ms)
{
	struct connect_req req = {
		.to = p->target->to,
		.opts = &p->core->conf->own,
		.strategy = CONF_USE_IP,
		.timeout_ms = timeout_ms,
	};

	p->on_connect.on_connect = on_connected;
	p->dialling = connect_start(p->loop, core_resolver(p->core, p->loop), &req, &p->on_connect);
	return p->dialling != NULL;
}

struct probe *probe_start(struct core *c, struct loop *l, const struct probe_target *t,
			  struct outbound *o, uint32_t timeout_ms, struct probe_user *user)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->core = c;
	p->loop = l;
	p->target = t;
	p->user = user;
	p->began_us = now_us();
	bufq_init(&p->out);
	bufq_init(&p->in);
	if (o ? !go_through(p, o) : !go_straight(p, timeout_ms)) {
		free(p);
		return NULL;
	}
	timer_init(&p->deadline, l, on_deadline);
	timer_start(&p->deadline, timeout_ms);
	p->orphan.end = on_loop_end;
	loop_adopt(l, &p->orphan);
	return p;
}
