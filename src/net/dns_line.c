/*
 * A connection to a name server: messages with their length before them (RFC 7766),
 * or HTTPS with HTTP/2, or HTTP/1.1 where the server speaks nothing else, then one
 * query at a time. Opened when there is something to ask, closed when there has been
 * nothing for a while. When it breaks, what was asked on it is asked once more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/base64.h"
#include "net/connect.h"
#include "net/dns_server_int.h"
#include "net/http_call.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"
#include "proto/h2.h"

enum {
	IDLE_MS = 20000,
	OPEN_MS = 10000,
	H2_AT_ONCE = 64, /* every server allows more */
	H2_STREAMS_MAX = 4096, /* then a new connection: its window is not refilled */
	MESSAGE_MAX = 65535,
	PATH_MAX_LEN = 1024,
	HTTP_OK = 200,
	PORT_HTTPS = 443,
};

enum line_state {
	LINE_CLOSED = 0,
	LINE_OPENING,  /* the connection; also its handshake */
	LINE_MESSAGES, /* open: with lengths */
	LINE_H2,
	LINE_H1,
};

struct dns_line {
	struct dns_server *s;
	enum line_state state;
	struct list queue; /* lookups that were not sent */
	size_t n_sent;	   /* those that were and wait for their answer */
	struct dns_call *call; /* while opening, one of the three */
	struct dns_call_user on_call;
	struct connect *connect;
	struct connect_user on_connect;
	struct tls_handshake *tls;
	struct tls_user on_tls;
	struct stream *stream;
	struct stream_user on_stream;
	struct bufq in, out;
	uint32_t next_stream;
	struct http_call *http; /* HTTP/1.1: the one that is under way, and for whom */
	struct http_call_user on_http;
	struct dns_lookup *http_for;
	struct timer idle;
};

static void start_opening(struct dns_line *l);

static const struct conf_dns_server *conf_of(const struct dns_line *l)
{
	return l->s->t.conf;
}

/* ---- closing ---- */

static void shut(struct dns_line *l)
{
	if (l->call)
		l->s->t.door->cancel(l->s->t.door, l->call);
	connect_cancel(l->connect);
	if (l->tls)
		tls_cancel(l->tls, -ERR_CLOSED);
	if (l->http)
		http_call_cancel(l->http);
	if (l->stream) {
		stream_want(l->stream, 0);
		stream_attach(l->stream, NULL);
		stream_close(l->stream, 0);
	}
	l->call = NULL;
	l->connect = NULL;
	l->tls = NULL;
	l->http = NULL;
	l->http_for = NULL;
	l->stream = NULL;
	l->next_stream = 1;
	l->n_sent = 0;
	bufq_clear(&l->in);
	bufq_clear(&l->out);
	timer_stop(&l->idle);
	l->state = LINE_CLOSED;
}

/* Whoever was sent is asked once more; who was not, waits for the next connection, unless there is
 * none to be had. */
static void broken(struct dns_line *l, bool refused, const char *why)
{
	struct dns_server *s = l->s;
	struct dns_lookup *k, *next;
	char text[ADDR_TEXT_MAX];

	log_debug("dns", "%s: %s", addr_text(&s->t.conf->addr, text, sizeof(text)),
		  why ? why : "the connection broke");
	shut(l);
	list_each_safe(k, next, &s->lookups, node) {
		if (!k->over_line || (!refused && !list_empty(&k->wait)))
			continue;
		list_del(&k->wait);
		k->stream = 0;
		k->accepted = false;
		bufq_clear(&k->body);
		dns_lookup_lost(k);
	}
	if (!list_empty(&l->queue) && l->state == LINE_CLOSED)
		start_opening(l);
}

static void on_idle(struct timer *t)
{
	struct dns_line *l = container_of(t, struct dns_line, idle);

	if (l->state == LINE_OPENING)
		broken(l, true, "no connection in time");
	else
		shut(l);
}

/* ---- what is said ---- */

static bool write_out(struct dns_line *l)
{
	ssize_t n = bufq_empty(&l->out) ? 0 : stream_write(l->stream, &l->out);

	if (n < 0)
		return false;
	stream_want(l->stream, STREAM_READ | (bufq_empty(&l->out) ? 0u : (unsigned)STREAM_WRITE));
	return true;
}

static int put_message(struct dns_line *l, const struct dns_lookup *k)
{
	uint8_t room[2 + DNSMSG_EDNS_QUERY_MAX];
	struct wr w = wr_of(room + 2, sizeof(room) - 2);

	if (dns_lookup_encode(k, &w) != 0)
		return -ERR_MALFORMED;
	room[0] = (uint8_t)(w.n >> 8);
	room[1] = (uint8_t)w.n;
	return bufq_append(&l->out, span_of(room, 2 + w.n));
}

/* "/dns-query?dns=..." */
static int path_of(const struct dns_line *l, const struct dns_lookup *k, char out[PATH_MAX_LEN])
{
	uint8_t room[DNSMSG_EDNS_QUERY_MAX];
	struct wr w = wr_of(room, sizeof(room));
	int n = snprintf(out, PATH_MAX_LEN, "%s%cdns=", conf_of(l)->path,
			 strchr(conf_of(l)->path, '?') ? '&' : '?');

	if (n < 0 || n >= PATH_MAX_LEN || dns_lookup_encode(k, &w) != 0)
		return -ERR_LIMIT;
	return base64_encode(out + n, (size_t)(PATH_MAX_LEN - n), span_of(room, w.n),
			     BASE64_URL | BASE64_RAW) < 0
		       ? -ERR_LIMIT
		       : 0;
}

static char *authority(const struct dns_line *l, char *out, size_t cap)
{
	struct addr a = conf_of(l)->addr;

	if (a.port != PORT_HTTPS)
		return addr_text(&a, out, cap);
	if (a.kind == ADDR_IP && a.ip.family == 6) {
		char host[ADDR_TEXT_MAX];

		snprintf(out, cap, "[%s]", ip_text(&a.ip, host, sizeof(host)));
		return out;
	}
	return addr_host_text(&a, out, cap);
}

static int put_h2(struct dns_line *l, struct dns_lookup *k)
{
	static const struct h2_field fields[] = {{"accept", "application/dns-message"}};
	char path[PATH_MAX_LEN], host[ADDR_TEXT_MAX];
	uint8_t room[PATH_MAX_LEN + ADDR_TEXT_MAX + 128];
	struct wr w = wr_of(room, sizeof(room));

	if (path_of(l, k, path) != 0 ||
	    h2_get_encode(&w, l->next_stream, authority(l, host, sizeof(host)), path, fields, 1))
		return -ERR_LIMIT;
	k->stream = l->next_stream;
	l->next_stream += 2;
	return bufq_append(&l->out, span_of(room, w.n));
}

static int put_h1(struct dns_line *l, struct dns_lookup *k)
{
	char path[PATH_MAX_LEN], host[ADDR_TEXT_MAX], text[PATH_MAX_LEN + ADDR_TEXT_MAX + 128];
	struct stream *s = l->stream;
	int n;

	if (path_of(l, k, path) != 0)
		return -ERR_LIMIT;
	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/dns-message\r\n\r\n", path,
		     authority(l, host, sizeof(host)));
	stream_want(s, 0);
	l->stream = NULL;
	l->http_for = k;
	l->http = http_call_start(s, span_of(text, (size_t)n), MESSAGE_MAX,
				  conf_of(l)->timeout_ms + 1, &l->on_http);
	if (l->http)
		return 0;
	l->http_for = NULL;
	l->state = LINE_CLOSED;
	return -ERR_NOMEM;
}

/* May another query be written now? */
static bool has_room(const struct dns_line *l)
{
	switch (l->state) {
	case LINE_MESSAGES:
		return true;
	case LINE_H2:
		return l->n_sent < H2_AT_ONCE && l->next_stream < 2 * H2_STREAMS_MAX;
	case LINE_H1:
		return !l->http;
	default:
		return false;
	}
}

static void pump(struct dns_line *l)
{
	while (!list_empty(&l->queue) && has_room(l)) {
		struct dns_lookup *k = list_first(&l->queue, struct dns_lookup, wait);
		int err = l->state == LINE_MESSAGES ? put_message(l, k)
			  : l->state == LINE_H2	    ? put_h2(l, k)
						    : put_h1(l, k);

		list_del(&k->wait);
		l->n_sent++;
		if (err)
			dns_lookup_fail(k, DNS_FAILED);
	}
	if (l->n_sent)
		timer_stop(&l->idle);
	else if (l->state > LINE_OPENING && list_empty(&l->queue))
		timer_start(&l->idle, IDLE_MS);
	if (l->stream && !write_out(l))
		broken(l, false, stream_why(l->stream));
	else if (!list_empty(&l->queue) && l->n_sent == 0 && l->state == LINE_H2)
		broken(l, false, "used up"); /* a new one for those that wait */
}

/* ---- what is heard ---- */

/* False: the line is broken. */
static bool hear_messages(struct dns_line *l)
{
	uint8_t head[2];
	size_t n;

	while (bufq_peek(&l->in, head, 2) == 2) {
		n = (size_t)head[0] << 8 | head[1];
		if (l->in.len < 2 + n)
			break;
		bufq_drop(&l->in, 2);
		dns_server_heard(l->s, NULL, bufq_pullup(&l->in, n));
		bufq_drop(&l->in, n);
	}
	return true;
}

static struct dns_lookup *on_stream_number(const struct dns_line *l, uint32_t stream)
{
	struct dns_lookup *k;

	list_each(k, &l->s->lookups, node)
		if (k->over_line && k->stream == stream && stream)
			return k;
	return NULL;
}

static void h2_head(struct dns_lookup *k, const struct h2_frame *f)
{
	unsigned status = h2_status_decode(f);

	if (!k->accepted && status != HTTP_OK) {
		log_debug("dns", "the server answers with HTTP status %u", status);
		dns_lookup_fail(k, DNS_FAILED);
		return;
	}
	k->accepted = true;
}

static void h2_data(struct dns_line *l, struct dns_lookup *k, const struct h2_frame *f)
{
	struct span content;

	if (!k->accepted || h2_data_decode(&content, f) != 0 ||
	    k->body.len + content.n > MESSAGE_MAX || bufq_append(&k->body, content) != 0)
		dns_lookup_fail(k, DNS_FAILED);
	else if (f->flags & H2_END_STREAM)
		dns_server_heard(l->s, k, bufq_pullup(&k->body, k->body.len));
}

static void h2_frame(struct dns_line *l, const struct h2_frame *f)
{
	struct dns_lookup *k = on_stream_number(l, f->stream);
	uint8_t room[H2_HEADER_LEN + 8];
	struct wr w = wr_of(room, sizeof(room));

	if (h2_answer_encode(&w, f) == 0 && w.n)
		bufq_append(&l->out, span_of(room, w.n));
	if (!k)
		return;
	if (f->type == H2_HEADERS)
		h2_head(k, f);
	else if (f->type == H2_DATA)
		h2_data(l, k, f);
	else if (f->type == H2_RST_STREAM)
		dns_lookup_fail(k, DNS_FAILED);
}

static bool hear_h2(struct dns_line *l)
{
	while (!bufq_empty(&l->in)) {
		struct h2_frame f;
		ssize_t n = h2_frame_decode(&f, bufq_pullup(&l->in, H2_HEADER_LEN + H2_FRAME_MAX));

		if (n < 0 || (n > 0 && f.type == H2_GOAWAY))
			return false;
		if (n == 0)
			break;
		h2_frame(l, &f);
		bufq_drop(&l->in, (size_t)n);
	}
	return true;
}

static void on_stream(struct stream_user *u, struct stream *st, unsigned events)
{
	struct dns_line *l = container_of(u, struct dns_line, on_stream);
	ssize_t n = events & STREAM_READ ? stream_read(st, &l->in, STREAM_READ_MAX) : 0;
	bool ok = l->state == LINE_H2 ? hear_h2(l) : hear_messages(l);

	if (n < 0)
		broken(l, false, stream_why(st));
	else if (!ok)
		broken(l, false, "the server ends the connection");
	else
		pump(l);
}

static void on_http(struct http_call_user *u, struct stream *s, const struct http_answer *a)
{
	struct dns_line *l = container_of(u, struct dns_line, on_http);
	struct dns_lookup *k = l->http_for;

	l->http = NULL;
	l->http_for = NULL;
	l->stream = s;
	if (!s)
		shut(l);
	if (a->err)
		dns_lookup_lost(k);
	else if (a->status != HTTP_OK)
		dns_lookup_fail(k, DNS_FAILED);
	else
		dns_server_heard(l->s, k, a->body);
	if (l->state == LINE_CLOSED && !list_empty(&l->queue))
		start_opening(l);
	else if (l->state != LINE_CLOSED)
		pump(l);
}

/* ---- opening ---- */

static void opened(struct dns_line *l, struct stream *s, enum line_state state)
{
	uint8_t room[128];
	struct wr w = wr_of(room, sizeof(room));

	l->stream = s;
	l->state = state;
	timer_stop(&l->idle);
	l->on_stream.on_event = on_stream;
	stream_attach(s, &l->on_stream);
	if (state == LINE_H2 && h2_opening_encode(&w) == 0)
		bufq_append(&l->out, span_of(room, w.n));
	pump(l);
}

static void on_tls(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		   const char *why)
{
	struct dns_line *l = container_of(u, struct dns_line, on_tls);

	l->tls = NULL;
	if (s)
		opened(l, s, strcmp(info->alpn, "h2") == 0 ? LINE_H2 : LINE_H1);
	else
		broken(l, true, why ? why : err_name(err));
}

/* Takes @s, or NULL. */
static void connected(struct dns_line *l, struct stream *s, int err, const char *why)
{
	char host[ADDR_TEXT_MAX];

	if (!s) {
		broken(l, true, why ? why : err_name(err));
		return;
	}
	if (conf_of(l)->kind != CONF_DNS_HTTPS) {
		opened(l, s, LINE_MESSAGES);
		return;
	}
	l->on_tls.on_done = on_tls;
	l->tls = tls_client_start(s, l->s->t.tls,
				  addr_host_text(&conf_of(l)->addr, host, sizeof(host)), &l->on_tls);
	if (!l->tls)
		broken(l, true, "out of memory");
}

static void on_call(struct dns_call_user *u, struct stream *s, int err, const char *why)
{
	struct dns_line *l = container_of(u, struct dns_line, on_call);

	l->call = NULL;
	connected(l, s, err, why);
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct dns_line *l = container_of(u, struct dns_line, on_connect);

	(void)c;
	l->connect = NULL;
	connected(l, res->stream, res->err, res->why);
}

static void start_opening(struct dns_line *l)
{
	const struct dns_server_terms *t = &l->s->t;
	struct connect_req req = {.to = t->conf->addr, .opts = t->opts};

	l->state = LINE_OPENING;
	l->on_call.on_open = on_call;
	l->on_connect.on_connect = on_connect;
	if (t->door)
		l->call = t->door->connect(t->door, t->loop, &t->conf->addr, t->conf->tag,
					   &l->on_call);
	else
		l->connect = connect_start(t->loop, t->names, &req, &l->on_connect);
	if (l->call || l->connect)
		timer_start(&l->idle, OPEN_MS);
	else
		l->state = LINE_CLOSED; /* the lookups' own time is their end */
}

/* ---- for the server ---- */

struct dns_line *dns_line_new(struct dns_server *s)
{
	struct dns_line *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->s = s;
	l->next_stream = 1;
	l->on_http.on_done = on_http;
	list_init(&l->queue);
	timer_init(&l->idle, s->t.loop, on_idle);
	return l;
}

void dns_line_free(struct dns_line *l)
{
	if (!l)
		return;
	shut(l);
	free(l);
}

void dns_line_send(struct dns_line *l, struct dns_lookup *k)
{
	list_add_tail(&l->queue, &k->wait);
	if (l->state == LINE_CLOSED)
		start_opening(l);
	else if (l->state != LINE_OPENING)
		pump(l);
}

void dns_line_drop(struct dns_line *l, struct dns_lookup *k)
{
	if (!list_empty(&k->wait))
		list_del(&k->wait);
	else if (l->n_sent)
		l->n_sent--;
	if (l->http_for != k)
		return;
	/* HTTP/1.1 knows only the order: the answer would come for the next one. */
	shut(l);
	if (!list_empty(&l->queue))
		start_opening(l);
}

void dns_line_silent(struct dns_line *l)
{
	if (l->state > LINE_OPENING)
		broken(l, false, "no answer in time");
}
