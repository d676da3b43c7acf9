#include "proxy/in_socks.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/socks.h"
#include "proxy/answer.h"
#include "proxy/http_front.h"
#include "proxy/intake.h"
#include "proxy/login.h"
#include "proxy/socks_udp.h"

struct in_socks {
	struct inbound in;
	const struct conf_in_socks *conf;
	struct http_front_conf http;
	struct intake_log log;
};

enum step {
	STEP_FIRST = 0, /* the byte that tells the protocol */
	STEP_LOGIN,
	STEP_REQUEST,
	STEP_SOCKS4,
	STEP_HTTP,
};

/* A connection until its request is understood. */
struct socks_conn {
	struct in_socks *owner;
	struct intake_user on_intake;
	struct intake intake;
	struct conn_info info;
	enum step step;
	bool version4;
	const char *user;
	struct socks_request req;
	struct socks_udp *udp; /* made while answering, given away when done */
	struct garbage garbage;
};

/* The longest step is a request with a name; SOCKS 4 strings may be longer. */
enum { INTAKE_LIMIT = 2048 + SOCKS4_USER_MAX };

static ssize_t fail(struct intake *k, int err, const char *why)
{
	k->why = why;
	return err;
}

/* What a client is told to be bound to: where we listen, as Xray and v2ray. */
static struct ipport gateway(const struct socks_conn *c)
{
	const struct conf_listen *at = &c->owner->in.conf->listen;
	struct ipport g;

	memset(&g, 0, sizeof(g));
	if (at->kind == CONF_LISTEN_UNIX)
		return g;
	g.port = c->info.local.port;
	if (at->kind == CONF_LISTEN_IP)
		g.ip = at->ip;
	else
		g.ip.family = 4;
	return g;
}

static void encode_reply5(struct wr *w, uint8_t code, const struct ipport *bound)
{
	struct socks5_reply r = {.code = code};

	if (code == SOCKS5_OK)
		r.bound = addr_from_ipport(bound);
	socks5_reply_encode(w, &r);
}

static void say_reply5(struct intake *k, uint8_t code, const struct ipport *bound)
{
	uint8_t text[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(text, sizeof(text));

	encode_reply5(&w, code, bound);
	intake_say(k, span_of(text, w.n));
}

static void say_reply4(struct intake *k, bool granted)
{
	uint8_t text[SOCKS4_REPLY_LEN];
	struct wr w = wr_of(text, sizeof(text));

	socks4_reply_encode(&w, granted);
	intake_say(k, span_of(text, w.n));
}

static uint8_t code_of(int err)
{
	switch (-err) {
	case ERR_NONE:
		return SOCKS5_OK;
	case ERR_REFUSED:
		return SOCKS5_REFUSED;
	case ERR_UNREACH:
	case ERR_RESOLVE:
		return SOCKS5_HOST_UNREACH;
	case ERR_TIMEOUT:
		return SOCKS5_TIMEOUT;
	case ERR_BLOCKED:
		return SOCKS5_BLOCKED;
	default:
		return SOCKS5_FAILED;
	}
}

static void answer5(const struct answer *a, struct wr *out, int err)
{
	encode_reply5(out, code_of(err), &a->bound);
}

static void answer4(const struct answer *a, struct wr *out, int err)
{
	(void)a;
	socks4_reply_encode(out, err == 0);
}

static const struct answer_ops ops5 = {answer5}, ops4 = {answer4};

static ssize_t on_greeting(struct socks_conn *c, struct intake *k, struct span in)
{
	uint8_t method = c->owner->conf->auth ? SOCKS5_PASSWORD : SOCKS5_NO_AUTH, text[2];
	struct wr w = wr_of(text, sizeof(text));
	struct socks5_greeting g;
	ssize_t n = socks5_greeting_decode(&g, in);

	if (n <= 0)
		return n;
	if (!socks5_offers(&g, method)) {
		socks5_method_encode(&w, SOCKS5_NO_METHOD);
		intake_say(k, span_of(text, w.n));
		return fail(k, -ERR_AUTH, "the client offers no login method that we accept");
	}
	socks5_method_encode(&w, method);
	intake_say(k, span_of(text, w.n));
	c->step = c->owner->conf->auth ? STEP_LOGIN : STEP_REQUEST;
	return n;
}

static ssize_t on_login(struct socks_conn *c, struct intake *k, struct span in)
{
	const struct conf_in_socks *conf = c->owner->conf;
	const struct conf_account *account;
	struct socks5_login login;
	uint8_t text[2];
	struct wr w = wr_of(text, sizeof(text));
	ssize_t n = socks5_login_decode(&login, in);

	if (n <= 0)
		return n;
	account = login_check(conf->accounts, conf->n_accounts, login.user, login.password);
	socks5_verdict_encode(&w, account != NULL);
	intake_say(k, span_of(text, w.n));
	if (!account)
		return fail(k, -ERR_AUTH, "unknown user or wrong password");
	c->user = account->user;
	c->step = STEP_REQUEST;
	return n;
}

/* An association needs its socket before it can be announced. */
static int associate(struct socks_conn *c, struct intake *k)
{
	const struct conf_in_socks *conf = c->owner->conf;
	struct ipport bound;

	if (!conf->udp) {
		say_reply5(k, SOCKS5_BAD_COMMAND, NULL);
		return (int)fail(k, -ERR_UNSUPPORTED, "UDP is not enabled");
	}
	c->udp = socks_udp_new(&c->owner->in, k->s->loop, &c->info, &c->req.target,
			       conf->udp_ip.family ? &conf->udp_ip : &c->info.local.ip, &bound);
	if (!c->udp) {
		say_reply5(k, SOCKS5_FAILED, NULL);
		return (int)fail(k, -ERR_SYS, "no socket for UDP");
	}
	say_reply5(k, SOCKS5_OK, &bound);
	intake_finish(k);
	return 0;
}

static ssize_t on_request(struct socks_conn *c, struct intake *k, struct span in)
{
	ssize_t n = socks5_request_decode(&c->req, in);
	struct ipport bound = gateway(c);

	if (n == -ERR_UNSUPPORTED) {
		say_reply5(k, SOCKS5_BAD_COMMAND, NULL);
		return fail(k, (int)n, "unknown command");
	}
	if (n == -ERR_MALFORMED) {
		say_reply5(k, SOCKS5_BAD_ADDRESS, NULL);
		return fail(k, (int)n, "not an address");
	}
	if (n <= 0)
		return n;
	if (c->req.command == SOCKS_UDP) {
		int err = associate(c, k);

		return err ? err : n;
	}
	if (!c->owner->conf->reply_after_connect)
		say_reply5(k, SOCKS5_OK, &bound);
	intake_finish(k);
	return n;
}

static ssize_t on_socks4(struct socks_conn *c, struct intake *k, struct span in)
{
	ssize_t n;

	if (c->owner->conf->auth) {
		say_reply4(k, false);
		return fail(k, -ERR_AUTH, "SOCKS 4 has no password");
	}
	n = socks4_request_decode(&c->req, in);
	if (n == -ERR_UNSUPPORTED) {
		say_reply4(k, false);
		return fail(k, (int)n, "unknown command");
	}
	if (n <= 0)
		return n;
	c->version4 = true;
	if (!c->owner->conf->reply_after_connect)
		say_reply4(k, true);
	intake_finish(k);
	return n;
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct socks_conn *c = container_of(u, struct socks_conn, on_intake);

	if (in.n == 0)
		return 0;
	switch (c->step) {
	case STEP_LOGIN:
		return on_login(c, k, in);
	case STEP_REQUEST:
		return on_request(c, k, in);
	case STEP_SOCKS4:
		return on_socks4(c, k, in);
	default:
		break;
	}
	if (in.p[0] == SOCKS5_VERSION)
		return on_greeting(c, k, in);
	if (in.p[0] == SOCKS4_VERSION) {
		c->step = STEP_SOCKS4;
		return on_socks4(c, k, in);
	}
	c->step = STEP_HTTP;
	intake_finish(k);
	return 0;
}

static void conn_destroy(struct garbage *g)
{
	free(container_of(g, struct socks_conn, garbage));
}

static void conn_free(struct socks_conn *c, struct loop *l)
{
	socks_udp_free(c->udp);
	c->garbage.destroy = conn_destroy;
	loop_free_later(l, &c->garbage);
}

static void connect_flow(struct socks_conn *c, struct stream *s, struct bufq *rest)
{
	const struct conf_in_socks *conf = c->owner->conf;
	struct flow *f = inbound_flow(&c->owner->in, s->loop, CONF_TCP, &c->info);
	struct ipport bound = gateway(c);

	if (!f) {
		stream_close(s, -ERR_LIMIT);
		return;
	}
	f->origin = FLOW_FROM_LOCAL;
	f->user = c->user;
	f->level = conf->level;
	f->target = c->req.target;
	f->in = s;
	f->in_half_close = true;
	bufq_move(&f->early, rest, rest->len);
	if (conf->reply_after_connect && answer_wait(f, c->version4 ? &ops4 : &ops5, &bound) != 0)
		flow_failed(f, -ERR_NOMEM, NULL);
	else
		flow_dispatch(f);
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct socks_conn *c = container_of(u, struct socks_conn, on_intake);
	struct in_socks *v = c->owner;
	struct loop *l = s->loop;

	(void)k;
	if (c->step == STEP_HTTP) {
		http_front_serve(&v->in, &v->http, &v->log, s, rest, &c->info);
	} else if (c->udp) {
		socks_udp_start(c->udp, s, c->user, v->conf->level);
		c->udp = NULL;
	} else {
		connect_flow(c, s, rest);
	}
	conn_free(c, l);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	(void)err;
	conn_free(container_of(u, struct socks_conn, on_intake), k->deadline.loop);
}

static void socks_serve(struct inbound *in, struct stream *s, const struct conn_info *info)
{
	struct in_socks *v = container_of(in, struct in_socks, in);
	struct socks_conn *c = calloc(1, sizeof(*c));
	struct intake_terms terms = {
		.limit = INTAKE_LIMIT,
		.deadline_ms = conf_policy(in->core->conf, v->conf->level)->handshake_s * 1000ull,
		.log = &v->log,
		.source = info->source,
	};

	if (!c) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	c->owner = v;
	c->info = *info;
	c->info.sni = c->info.alpn = "";
	c->user = "";
	c->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	intake_start(&c->intake, s, NULL, &terms, &c->on_intake);
}

static void socks_free(struct inbound *in)
{
	free(container_of(in, struct in_socks, in));
}

static const struct inbound_ops socks_ops = {
	.protocol = "socks",
	.serve = socks_serve,
	.free = socks_free,
};

struct inbound *in_socks_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_socks *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->in = (struct inbound){.ops = &socks_ops, .conf = conf, .core = c, .tag = conf->tag};
	v->conf = &conf->socks;
	v->log.area = "socks";
	v->http = (struct http_front_conf){
		.accounts = conf->socks.auth ? conf->socks.accounts : NULL,
		.n_accounts = conf->socks.auth ? conf->socks.n_accounts : 0,
		.reply_after_connect = conf->socks.reply_after_connect,
		.level = conf->socks.level,
	};
	return &v->in;
}
