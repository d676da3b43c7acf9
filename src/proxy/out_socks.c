#include "proxy/out_socks.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "flow/via.h"
#include "net/sock.h"
#include "net/stream_front.h"
#include "net/stream_tcp.h"
#include "proto/socks.h"
#include "proxy/client.h"
#include "proxy/socks_relay.h"

struct out_socks {
	struct outbound o;
	const struct conf_outbound *conf;
	struct dialer *dialer;
};

enum step {
	STEP_METHOD = 0,
	STEP_LOGIN,
	STEP_REPLY,
};

struct socks_client {
	struct client c;
	struct out_socks *o;
	enum step step;
	struct addr bound; /* of the reply: where UDP goes */
};

static struct socks_client *of(struct client *c)
{
	return container_of(c, struct socks_client, c);
}

static ssize_t fail(struct intake *k, int err, const char *why)
{
	k->why = why;
	return err;
}

static void on_begin(struct client *c, struct intake *k)
{
	const struct conf_out_proxy *conf = &of(c)->o->conf->proxy;
	uint8_t method = conf->auth ? SOCKS5_PASSWORD : SOCKS5_NO_AUTH, text[3];
	struct socks5_greeting g = {.methods = span_of(&method, 1)};
	struct wr w = wr_of(text, sizeof(text));

	socks5_greeting_encode(&w, &g);
	intake_say(k, span_of(text, w.n));
}

static ssize_t ask(struct socks_client *s, struct intake *k)
{
	static const uint8_t zero[4];
	struct ip any = ip_v4(zero);
	bool udp = s->c.f->net == CONF_UDP;
	struct socks_request req = {
		.command = udp ? SOCKS_UDP : SOCKS_CONNECT,
		.target = udp ? addr_from_ip(&any, 0) : s->c.f->target,
	};
	uint8_t text[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(text, sizeof(text));

	if (socks5_request_encode(&w, &req) != 0)
		return fail(k, -ERR_MALFORMED, "a target that SOCKS cannot express");
	intake_say(k, span_of(text, w.n));
	s->step = STEP_REPLY;
	return 0;
}

static ssize_t log_in(struct socks_client *s, struct intake *k)
{
	const struct conf_account *a = &s->o->conf->proxy.account;
	struct socks5_login login = {span_str(a->user), span_str(a->pass)};
	uint8_t text[SOCKS5_LOGIN_MAX];
	struct wr w = wr_of(text, sizeof(text));
	int err = socks5_login_encode(&w, &login);

	if (!err)
		intake_say(k, span_of(text, w.n));
	secret_wipe(text, sizeof(text));
	if (err)
		return fail(k, err, "user name or password is too long for SOCKS");
	s->step = STEP_LOGIN;
	return 0;
}

static ssize_t on_method(struct socks_client *s, struct intake *k, struct span in)
{
	bool auth = s->o->conf->proxy.auth;
	uint8_t method;
	ssize_t n = socks5_method_decode(&method, in), err;

	if (n <= 0)
		return n;
	if (method != (auth ? SOCKS5_PASSWORD : SOCKS5_NO_AUTH))
		return fail(k, -ERR_AUTH,
			    auth ? "the server wants another kind of login" :
				   "the server wants a login");
	err = auth ? log_in(s, k) : ask(s, k);
	return err ? err : n;
}

static ssize_t on_verdict(struct socks_client *s, struct intake *k, struct span in)
{
	bool welcome;
	ssize_t n = socks5_verdict_decode(&welcome, in), err;

	if (n <= 0)
		return n;
	if (!welcome)
		return fail(k, -ERR_AUTH, "the server refuses our user name or password");
	err = ask(s, k);
	return err ? err : n;
}

static ssize_t refused(struct intake *k, uint8_t code)
{
	switch (code) {
	case SOCKS5_BLOCKED:
		return fail(k, -ERR_BLOCKED, "forbidden by the server");
	case SOCKS5_NET_UNREACH:
		return fail(k, -ERR_UNREACH, "network unreachable from the server");
	case SOCKS5_HOST_UNREACH:
		return fail(k, -ERR_UNREACH, "host unreachable from the server");
	case SOCKS5_REFUSED:
		return fail(k, -ERR_REFUSED, "connection refused to the server");
	case SOCKS5_TIMEOUT:
		return fail(k, -ERR_TIMEOUT, "the target did not answer the server");
	case SOCKS5_BAD_COMMAND:
		return fail(k, -ERR_UNSUPPORTED, "the server does not support this command");
	case SOCKS5_BAD_ADDRESS:
		return fail(k, -ERR_UNSUPPORTED, "the server does not support this address");
	default:
		return fail(k, -ERR_RESET, "the server failed");
	}
}

static ssize_t on_decode(struct client *c, struct intake *k, struct span in)
{
	struct socks_client *s = of(c);
	struct socks5_reply r;
	ssize_t n;

	if (s->step == STEP_METHOD)
		return on_method(s, k, in);
	if (s->step == STEP_LOGIN)
		return on_verdict(s, k, in);
	n = socks5_reply_decode(&r, in);
	if (n <= 0)
		return n;
	if (r.code != SOCKS5_OK)
		return refused(k, r.code);
	s->bound = r.bound;
	intake_finish(k);
	return n;
}

/* "Where you reached me, at this port" is what an unspecified address means. */
static struct addr relay_address(const struct socks_client *s, struct stream *control)
{
	struct addr at = s->bound;
	struct ipport peer;
	int fd;

	if (at.kind != ADDR_NONE && (at.kind != ADDR_IP || !ip_is_any(&at.ip)))
		return at;
	fd = dialer_is_through(s->o->dialer) ? -1 : stream_tcp_fd(control);
	if (fd >= 0 && sock_peer(fd, &peer) == 0 && peer.ip.family)
		at = addr_from_ipport(&peer);
	else
		at = s->o->conf->proxy.server;
	at.port = s->bound.port;
	return at;
}

static void open_relay(struct socks_client *s, struct flow *f, struct stream *control)
{
	struct out_socks *o = s->o;
	struct dgram_udp_spec spec = {
		.opts = &o->conf->stream.sockopt,
		.local = via_address(&o->conf->via, f),
		.strategy = o->conf->stream.sockopt.strategy,
	};
	struct addr at = relay_address(s, control);
	char why[NET_WHY_MAX];
	struct dgram *below, *d;

	spec.target = at;
	below = dialer_dgram(o->dialer, f->loop, &spec, f, why);
	if (!below) {
		stream_close(control, 0);
		flow_failed(f, -ERR_SYS, why);
		return;
	}
	d = socks_relay_new(below, control, &at, &f->target);
	if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

static void on_done(struct client *c, struct flow *f, struct stream *s, struct bufq *rest)
{
	if (f->net == CONF_UDP) {
		open_relay(of(c), f, s);
		return;
	}
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

static void socks_open(struct outbound *ob, struct flow *f)
{
	struct out_socks *o = container_of(ob, struct out_socks, o);
	struct socks_client *s;

	s = calloc(1, sizeof(*s));
	if (!s) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	s->o = o;
	client_start(&s->c, &client_ops, o->dialer, &o->conf->proxy.server, f);
}

static void socks_free(struct outbound *ob)
{
	struct out_socks *o = container_of(ob, struct out_socks, o);

	dialer_free(o->dialer);
	free(o);
}

static const struct outbound_ops socks_ops = {
	.protocol = "socks",
	.open = socks_open,
	.free = socks_free,
};

struct outbound *out_socks_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_socks *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->o = (struct outbound){.ops = &socks_ops, .tag = conf->tag, .core = c};
	o->conf = conf;
	o->dialer = dialer_new(c, conf);
	if (!o->dialer) {
		free(o);
		return NULL;
	}
	return &o->o;
}
