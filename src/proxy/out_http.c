#include "proxy/out_http.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "flow/target.h"
#include "net/stream_front.h"
#include "proto/httpproxy.h"
#include "proto/httptemplate.h"
#include "proxy/client.h"

struct out_http {
	struct outbound o;
	const struct conf_outbound *conf;
	struct dialer *dialer;
	struct http_login login;
	struct http_field *fields; /* the configured headers */
	bool templated;		   /* some of them have placeholders */
};

struct http_client {
	struct client c;
	struct out_http *o;
	size_t seen; /* of the head, by its decoder */
	char why[64];
};

/* Fields of a configuration fit well; what is longer is refused at the first use. */
enum { REQUEST_MAX = 16384 };

static struct http_client *of(struct client *c)
{
	return container_of(c, struct http_client, c);
}

/* The fields of this flow, with their values in @room. False when they are too long. */
static bool fill(const struct out_http *o, const struct flow *f, struct http_field *to,
		 struct buf *room)
{
	struct httptemplate t = {.target = *target_asked(f), .udp = f->net == CONF_UDP};
	struct wr w = wr_of(room->data, REQUEST_MAX);

	if (f->source.ip.family)
		t.source = addr_from_ipport(&f->source);
	for (size_t i = 0; i < o->conf->proxy.n_headers; i++) {
		size_t from = w.n;

		if (httptemplate_fill(&w, o->fields[i].value, &t) != 0)
			return false;
		to[i] = (struct http_field){o->fields[i].name, span_of(room->data + from, w.n - from)};
	}
	return true;
}

static void say(struct intake *k, const struct http_connect *req)
{
	struct buf *b = buf_new(REQUEST_MAX);
	struct wr w;

	if (!b)
		return; /* the deadline ends it */
	w = wr_of(b->data, REQUEST_MAX);
	if (http_connect_encode(&w, req) == 0)
		intake_say(k, span_of(b->data, w.n));
	secret_wipe(b->data, w.n);
	buf_free(b);
}

static void on_begin(struct client *c, struct intake *k)
{
	struct out_http *o = of(c)->o;
	size_t n = o->conf->proxy.n_headers;
	struct http_connect req = {
		.target = c->f->target,
		.login = o->conf->proxy.auth ? &o->login : NULL,
		.fields = o->fields,
		.n_fields = n,
	};
	struct http_field *own;
	struct buf *room;

	if (!o->templated) {
		say(k, &req);
		return;
	}
	own = calloc(n, sizeof(*own));
	room = buf_new(REQUEST_MAX);
	if (own && room && fill(o, c->f, own, room)) {
		req.fields = own;
		say(k, &req);
	}
	buf_free(room);
	free(own);
}

static int verdict(uint16_t status)
{
	switch (status) {
	case 403:
		return -ERR_BLOCKED;
	case 407:
		return -ERR_AUTH;
	case 502:
	case 503:
		return -ERR_UNREACH;
	case 504:
		return -ERR_TIMEOUT;
	default:
		return -ERR_RESET;
	}
}

static ssize_t on_decode(struct client *c, struct intake *k, struct span in)
{
	struct http_client *h = of(c);
	struct http_response resp;
	ssize_t n = http_response_decode(&resp, in, &h->seen);

	if (n < 0)
		k->why = "the proxy's answer is not HTTP";
	if (n <= 0)
		return n;
	h->seen = 0;
	if (resp.status < 200)
		return n;
	if (resp.status != 200) {
		snprintf(h->why, sizeof(h->why), "the proxy answered %u", resp.status);
		k->why = h->why;
		return verdict(resp.status);
	}
	intake_finish(k);
	return n;
}

static void on_done(struct client *c, struct flow *f, struct stream *s, struct bufq *rest)
{
	(void)c;
	s = stream_front_new(s, rest);
	if (s)
		flow_connected(f, s, true);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

static void on_free(struct client *c)
{
	free(of(c));
}

static const struct client_ops client_ops = {
	.begin = on_begin,
	.decode = on_decode,
	.done = on_done,
	.free = on_free,
};

static void http_open(struct outbound *ob, struct flow *f)
{
	struct out_http *o = container_of(ob, struct out_http, o);
	struct http_client *h;

	if (f->net == CONF_UDP) {
		flow_failed(f, -ERR_UNSUPPORTED, "an HTTP proxy carries no UDP");
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	h->o = o;
	client_start(&h->c, &client_ops, o->dialer, &o->conf->proxy.server, f);
}

static void http_free(struct outbound *ob)
{
	struct out_http *o = container_of(ob, struct out_http, o);

	dialer_free(o->dialer);
	free(o->fields);
	free(o);
}

static const struct outbound_ops http_ops = {
	.protocol = "http",
	.open = http_open,
	.free = http_free,
};

/* A field that cannot be sent, or a login, shows at the start, not at the first flow. */
static bool usable(const struct out_http *o)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const struct conf_outbound *conf = o->conf;
	struct ip ip = ip_v4(loopback);
	struct http_connect req = {
		.target = addr_from_ip(&ip, 1),
		.login = conf->proxy.auth ? &o->login : NULL,
		.fields = o->fields,
		.n_fields = conf->proxy.n_headers,
	};
	struct buf *b = buf_new(REQUEST_MAX);
	struct wr w;
	int err;

	if (!b)
		return false;
	w = wr_of(b->data, REQUEST_MAX - ADDR_TEXT_MAX * 2);
	err = http_connect_encode(&w, &req);
	secret_wipe(b->data, w.n);
	buf_free(b);
	if (err)
		log_err("http", "outbound [%s] at %s:%d: headers or login cannot be written as HTTP",
			conf->tag, conf->at.file, conf->at.line);
	return err == 0;
}

struct outbound *out_http_new(struct core *c, const struct conf_outbound *conf)
{
	const struct conf_out_proxy *p = &conf->proxy;
	struct out_http *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->o = (struct outbound){.ops = &http_ops, .tag = conf->tag, .core = c};
	o->conf = conf;
	if (p->auth)
		o->login = (struct http_login){span_str(p->account.user), span_str(p->account.pass)};
	o->fields = calloc(p->n_headers + 1, sizeof(*o->fields));
	for (size_t i = 0; o->fields && i < p->n_headers; i++)
		o->fields[i] = (struct http_field){span_str(p->headers[i].name),
						   span_str(p->headers[i].value)};
	for (size_t i = 0; o->fields && i < p->n_headers; i++)
		o->templated |= httptemplate_is(o->fields[i].value);
	o->dialer = o->fields && usable(o) ? dialer_new(c, conf) : NULL;
	if (!o->dialer) {
		http_free(&o->o);
		return NULL;
	}
	return &o->o;
}
