#include "proxy/in_http.h"

#include <stdlib.h>

#include "proxy/http_front.h"

struct in_http {
	struct inbound in;
	struct http_front_conf front;
	struct intake_log log;
};

static void http_serve(struct inbound *in, struct stream *s, const struct conn_info *info)
{
	struct in_http *h = container_of(in, struct in_http, in);

	http_front_serve(in, &h->front, &h->log, s, NULL, info);
}

static void http_free(struct inbound *in)
{
	free(container_of(in, struct in_http, in));
}

static const struct inbound_ops http_ops = {
	.protocol = "http",
	.serve = http_serve,
	.free = http_free,
};

struct inbound *in_http_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->in = (struct inbound){.ops = &http_ops, .conf = conf, .core = c, .tag = conf->tag};
	h->log.area = "http";
	h->front = (struct http_front_conf){
		.accounts = conf->http.accounts,
		.n_accounts = conf->http.n_accounts,
		.allow_transparent = conf->http.allow_transparent,
		.reply_after_connect = conf->http.reply_after_connect,
		.level = conf->http.level,
	};
	return &h->in;
}
