#include "proxy/http_front.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "flow/sniffer.h"
#include "proto/httpproxy.h"
#include "proxy/answer.h"
#include "proxy/drain.h"
#include "proxy/http_exchange.h"
#include "proxy/login.h"

/* A client's connection between two requests. */
struct http_front {
	struct inbound *in;
	const struct http_front_conf *conf;
	struct intake_log *log;
	struct conn_info info;
	struct intake_user on_intake;
	struct intake intake;
	struct exchange_user on_exchange;
	size_t seen; /* of the head, by its decoder */
	const char *user;
	struct addr target;
	bool tunnel;
	struct sniff_attrs *attrs; /* what rules may ask of the request */
	struct exchange_head next; /* what the flow of the request needs */
	struct garbage garbage;
};

static ssize_t refuse(struct intake *k, enum http_answer answer, int err, const char *why)
{
	intake_say(k, http_answer_text(answer));
	k->why = why;
	return err;
}

/* 0 when no login is asked for, or it is right. Browsers ask without one first: only a wrong one
 * is worth a warning. */
static ssize_t log_in(struct http_front *h, struct intake *k, const struct http_request *req)
{
	const struct conf_account *account = NULL;
	uint8_t scratch[HTTP_LOGIN_MAX];
	struct http_login login;
	struct span value;

	if (h->conf->n_accounts == 0)
		return 0;
	if (!http_find_field(req->fields, "Proxy-Authorization", &value))
		return refuse(k, HTTP_LOGIN_REQUIRED, -ERR_UNSUPPORTED, "a request without login");
	if (http_login_decode(&login, scratch, value) == 0)
		account = login_check(h->conf->accounts, h->conf->n_accounts, login.user,
				      login.password);
	secret_wipe(scratch, sizeof(scratch));
	if (!account)
		return refuse(k, HTTP_LOGIN_REQUIRED, -ERR_AUTH, "unknown user or wrong password");
	h->user = account->user;
	return 0;
}

static ssize_t on_connect(struct http_front *h, struct intake *k)
{
	h->tunnel = true;
	if (!h->conf->reply_after_connect)
		intake_say(k, http_answer_text(HTTP_CONNECTED));
	intake_finish(k);
	return 0;
}

/* The request as the origin will see it, and what is needed to recognise its answer. */
static ssize_t on_plain(struct http_front *h, struct intake *k, const struct http_request *req,
			const struct http_target *target)
{
	if (target->kind == HTTP_TARGET_ORIGIN && !h->conf->allow_transparent)
		return refuse(k, HTTP_BAD_REQUEST, -ERR_MALFORMED, "not a request to a proxy");
	if (target->addr.kind == ADDR_NONE)
		return refuse(k, HTTP_BAD_REQUEST, -ERR_MALFORMED, "the request names no host");
	if (exchange_head_init(&h->next, req, target) != 0)
		return refuse(k, HTTP_BAD_REQUEST, -ERR_MALFORMED, "contradictory request");
	intake_finish(k);
	return 0;
}

/* Rules on attributes are rare; without a router there are none. */
static void keep_attrs(struct http_front *h, const struct http_request *req,
		       const struct http_target *target)
{
	struct span path = target->kind == HTTP_TARGET_ABSOLUTE ? target->path : req->target;

	sniff_attrs_free(h->attrs);
	h->attrs = h->in->core->router ? sniff_attrs_new(req->method, path, req->fields) : NULL;
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct http_front *h = container_of(u, struct http_front, on_intake);
	struct http_request req;
	struct http_target target;
	ssize_t n, err;

	n = in.n ? http_request_decode(&req, in, &h->seen) : 0;
	if (n == -ERR_LIMIT || (n == 0 && in.n >= HTTP_HEAD_MAX))
		return refuse(k, HTTP_HEAD_TOO_LARGE, -ERR_LIMIT, "request head is too long");
	if (n < 0)
		k->why = "not HTTP";
	if (n <= 0)
		return n;
	err = log_in(h, k, &req);
	if (err)
		return err;
	if (req.major != 1)
		return refuse(k, HTTP_BAD_REQUEST, -ERR_UNSUPPORTED, "HTTP/2 preface");
	if (http_target_parse(&target, &req) != 0) {
		k->why = "no usable host in the request";
		return -ERR_MALFORMED;
	}
	h->target = target.addr;
	keep_attrs(h, &req, &target);
	err = target.kind == HTTP_TARGET_AUTHORITY ? on_connect(h, k) :
						     on_plain(h, k, &req, &target);
	return err ? err : n;
}

static void front_destroy(struct garbage *g)
{
	free(container_of(g, struct http_front, garbage));
}

static void front_free(struct http_front *h, struct loop *l)
{
	exchange_head_fini(&h->next);
	sniff_attrs_free(h->attrs);
	h->garbage.destroy = front_destroy;
	loop_free_later(l, &h->garbage);
}

static void encode_answer(const struct answer *a, struct wr *out, int err)
{
	struct span s = http_answer_text(err ? HTTP_UNAVAILABLE : HTTP_CONNECTED);

	(void)a;
	wr_bytes(out, s.p, s.n);
}

static const struct answer_ops answer_ops = {encode_answer};

static struct flow *new_flow(struct http_front *h, struct stream *s)
{
	struct flow *f = inbound_flow(h->in, s->loop, CONF_TCP, &h->info);

	if (!f)
		return NULL;
	f->origin = FLOW_FROM_LOCAL;
	f->user = h->user;
	f->level = h->conf->level;
	f->target = h->target;
	f->in = s;
	f->in_half_close = true;
	f->protocol = "http/1.1";
	f->attrs = h->attrs;
	h->attrs = NULL;
	return f;
}

static void start_tunnel(struct http_front *h, struct stream *s, struct bufq *rest)
{
	struct flow *f = new_flow(h, s);

	if (!f) {
		stream_close(s, -ERR_LIMIT);
		return;
	}
	bufq_move(&f->early, rest, rest->len);
	if (h->conf->reply_after_connect && answer_wait(f, &answer_ops, &h->info.local) != 0)
		flow_failed(f, -ERR_NOMEM, NULL);
	else
		flow_dispatch(f);
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct http_front *h = container_of(u, struct http_front, on_intake);
	struct loop *l = s->loop;
	struct stream *x;
	struct flow *f;

	(void)k;
	if (h->tunnel) {
		start_tunnel(h, s, rest);
		front_free(h, l);
		return;
	}
	x = exchange_new(s, rest, &h->next, &h->on_exchange);
	f = x ? new_flow(h, x) : NULL;
	if (f)
		flow_dispatch(f);
	else if (x)
		stream_close(x, -ERR_LIMIT);
	else
		front_free(h, l);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	(void)err;
	front_free(container_of(u, struct http_front, on_intake), k->deadline.loop);
}

static void begin(struct http_front *h, struct stream *s, struct bufq *early)
{
	const struct conf_policy *p = conf_policy(h->in->core->conf, h->conf->level);
	struct intake_terms terms = {
		.limit = HTTP_HEAD_MAX,
		.deadline_ms = p->handshake_s * 1000ull,
		.log = h->log,
		.source = h->info.source,
	};

	h->seen = 0;
	h->user = "";
	intake_start(&h->intake, s, early, &terms, &h->on_intake);
}

/* The answer is through; @s is NULL when the client's connection is over with it. */
static void on_exchanged(struct exchange_user *u, struct loop *l, struct stream *s,
			 struct bufq *rest)
{
	struct http_front *h = container_of(u, struct http_front, on_exchange);

	exchange_head_fini(&h->next);
	if (s)
		begin(h, s, rest);
	else
		front_free(h, l);
}

void http_front_serve(struct inbound *in, const struct http_front_conf *conf,
		      struct intake_log *log, struct stream *s, struct bufq *early,
		      const struct conn_info *info)
{
	struct http_front *h = calloc(1, sizeof(*h));

	if (!h) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	h->in = in;
	h->conf = conf;
	h->log = log;
	h->info = *info;
	h->info.sni = h->info.alpn = "";
	h->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	h->on_exchange.on_exchanged = on_exchanged;
	begin(h, s, early);
}
