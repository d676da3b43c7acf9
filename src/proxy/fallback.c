#include "proxy/fallback.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/relay.h"
#include "net/connect.h"
#include "proto/proxyproto.h"
#include "proto/vless.h"

struct fallback {
	struct loop *loop;
	struct inbound *in;
	const struct conf_fallback *conf;
	struct stream *visitor;
	struct bufq early;
	struct ipport source, local;
	struct connect *connect;
	struct connect_user on_connect;
	struct relay relay;
	struct relay_user on_relay;
	struct orphan orphan;
	struct garbage garbage;
};

enum { FALLBACK_TRIES = 5 };

/* The name that stands in the map of names: exact, else the longest that occurs inside. */
static const char *match_name(const struct conf_in_vless *conf, const char *sni)
{
	const char *best = "";

	for (size_t i = 0; i < conf->n_fallbacks; i++) {
		const char *name = conf->fallbacks[i].name;

		if (strcmp(name, sni) == 0)
			return name;
		if (*name && strstr(sni, name) && strlen(name) > strlen(best))
			best = name;
	}
	return best;
}

/* Entries for a name or ALPN inherit what they lack from those for "". Later ones win. */
static const struct conf_fallback *find(const struct conf_in_vless *conf, const char *name,
					const char *alpn, struct span path)
{
	for (size_t i = conf->n_fallbacks; i-- > 0;) {
		const struct conf_fallback *f = &conf->fallbacks[i];

		if (strcmp(f->name, name) == 0 && strcmp(f->alpn, alpn) == 0 &&
		    span_eq(span_str(f->path), path))
			return f;
	}
	return NULL;
}

const struct conf_fallback *fallback_choose(const struct conf_in_vless *conf, const char *sni,
					    const char *alpn, struct span first)
{
	struct span path = vless_fallback_path(first), none = span_str("");
	const char *names[2] = {match_name(conf, sni), ""};
	const char *alpns[2] = {alpn, ""};
	struct span paths[2] = {path, none};

	for (int p = 0; p < 2; p++)
		for (int n = 0; n < 2; n++)
			for (int a = 0; a < 2; a++) {
				const struct conf_fallback *f =
					find(conf, names[n], alpns[a], paths[p]);

				if (f)
					return f;
			}
	return NULL;
}

static void fallback_destroy(struct garbage *g)
{
	free(container_of(g, struct fallback, garbage));
}

static void fallback_end(struct fallback *f)
{
	loop_disown(&f->orphan);
	bufq_clear(&f->early);
	f->garbage.destroy = fallback_destroy;
	loop_free_later(f->loop, &f->garbage);
}

static void on_relay_end(struct relay_user *u, struct relay *r, int err, bool a_side,
			 const char *why)
{
	(void)r;
	(void)err;
	(void)a_side;
	(void)why;
	fallback_end(container_of(u, struct fallback, on_relay));
}

/* The header that tells the web server who came, in front of the visitor's first bytes. */
static void put_proxy_header(struct fallback *f)
{
	struct proxyproto p = {.version = f->conf->xver, .source = f->source, .target = f->local};
	struct buf *b = buf_new(PROXYPROTO_ENCODE_MAX);
	struct wr w;

	if (!b)
		return;
	if (f->source.ip.family && f->local.ip.family)
		p.transport = PROXYPROTO_STREAM;
	w = wr_of(b->data, PROXYPROTO_ENCODE_MAX);
	if (proxyproto_encode(&w, &p)) {
		buf_free(b);
		return;
	}
	b->len = (uint32_t)w.n;
	bufq_push_front(&f->early, b);
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct fallback *f = container_of(u, struct fallback, on_connect);
	const struct conf_policy *p = conf_policy(f->in->core->conf, 0);
	struct relay_limits limits = {
		.idle = p->conn_idle_s * 1000,
		.up_only = p->conn_idle_s * 1000,
		.down_only = p->conn_idle_s * 1000,
		.a_half_close = true,
		.b_half_close = true,
	};

	(void)c;
	f->connect = NULL;
	if (res->err) {
		log_warn("vless", "%s: fallback at %s:%d: %s", f->in->tag, f->conf->at.file,
			 f->conf->at.line, res->why);
		stream_close(f->visitor, 0);
		fallback_end(f);
		return;
	}
	if (f->conf->xver)
		put_proxy_header(f);
	f->on_relay.on_end = on_relay_end;
	relay_start(&f->relay, f->visitor, res->stream, &f->early, &limits, &f->on_relay);
}

static void on_loop_end(struct orphan *o)
{
	struct fallback *f = container_of(o, struct fallback, orphan);

	if (f->connect) {
		connect_cancel(f->connect);
		stream_close(f->visitor, -ERR_CLOSED);
	} else {
		relay_abort(&f->relay, -ERR_CLOSED);
	}
	fallback_end(f);
}

void fallback_start(struct inbound *in, const struct conf_fallback *fb, struct stream *s,
		    struct bufq *early, const struct ipport *source, const struct ipport *local)
{
	struct fallback *f = calloc(1, sizeof(*f));
	struct connect_req req = {
		.to = fb->dest, .opts = &in->core->conf->own, .tries = FALLBACK_TRIES};

	if (!f) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	f->in = in;
	f->loop = s->loop;
	f->conf = fb;
	f->visitor = s;
	f->source = *source;
	f->local = *local;
	bufq_move(&f->early, early, early->len);
	f->on_connect.on_connect = on_connect;
	f->orphan.end = on_loop_end;
	loop_adopt(s->loop, &f->orphan);
	if (fb->dest.kind == ADDR_NONE)
		req.path = fb->dest_unix;
	f->connect = connect_start(s->loop, core_resolver(in->core, s->loop), &req, &f->on_connect);
	if (!f->connect) {
		stream_close(s, -ERR_NOMEM);
		fallback_end(f);
	}
}
