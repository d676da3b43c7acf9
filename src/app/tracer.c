#include "app/tracer.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/stream_pipe.h"

enum { ROOM = 4096, PORT_UNSAID = 443, LINES_MAX = 200 };

struct tracer {
	struct flow_hook hook;
	struct tracer_user *user;
	struct stream *end; /* ours, of the pipe that the flow takes for a client */
	struct loop *loop;
	cJSON *result, *lines;
	uint64_t begun_ms;
	int err; /* of the verdict; 1: none came */
	struct garbage garbage;
};

static void hook_line(struct flow_hook *h, struct stream *in, const char *text)
{
	struct tracer *t = container_of(h, struct tracer, hook);

	(void)in;
	if (cJSON_GetArraySize(t->lines) < LINES_MAX)
		cJSON_AddItemToArray(t->lines, cJSON_CreateString(text));
}

static void hook_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct tracer *t = container_of(h, struct tracer, hook);

	(void)in;
	t->err = err;
	cJSON_AddNumberToObject(t->result, "ms", (double)(loop_now(t->loop) - t->begun_ms));
	/* All is known: the client goes. */
	stream_close(t->end, 0);
	t->end = NULL;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct tracer, garbage));
}

static void hook_ended(struct flow_hook *h, struct loop *l)
{
	struct tracer *t = container_of(h, struct tracer, hook);

	stream_close(t->end, 0);
	cJSON_AddStringToObject(t->result, "error",
				t->err == 0 ? "" : err_name(t->err > 0 ? ERR_CLOSED : t->err));
	t->user->on_traced(t->user, t->result);
	t->garbage.destroy = destroy;
	loop_free_later(l, &t->garbage);
}

static const char *text_of(const cJSON *o, const char *key)
{
	const char *t = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	return t ? t : "";
}

/* The tag as the configuration holds it: it outlives the flow. */
static const char *known_tag(const struct core *c, const char *tag)
{
	for (size_t i = 0; i < c->conf->n_inbounds; i++)
		if (strcmp(c->conf->inbounds[i].tag, tag) == 0)
			return c->conf->inbounds[i].tag;
	for (size_t i = 0; i < c->conf->reverse.n_bridges; i++)
		if (strcmp(c->conf->reverse.bridges[i].tag, tag) == 0)
			return c->conf->reverse.bridges[i].tag;
	return NULL;
}

const char *tracer_in_tag(const struct core *c, const cJSON *asked)
{
	const struct conf_inbound *tun = conf_tun_find(c->conf);
	const char *in = text_of(asked, "in");

	if (!cJSON_HasObjectItem(asked, "in") && tun)
		return tun->tag;
	return *in ? known_tag(c, in) : "";
}

/* The address that the kernel would give a program of this machine. */
static void come_from_tun(struct flow *f, const struct core *c)
{
	const struct conf_inbound *tun = conf_tun_find(c->conf);

	if (!tun || f->in_tag != tun->tag)
		return;
	for (size_t i = tun->tun.n_addrs; i-- > 0;) {
		const struct ip *ip = &tun->tun.addrs[i].ip;

		if (f->target.kind != ADDR_IP || f->target.ip.family == ip->family)
			f->source.ip = *ip;
	}
}

/* NULL or the fault. */
static const char *fill(struct flow *f, struct core *c, const cJSON *asked)
{
	const char *to = text_of(asked, "to"), *from = text_of(asked, "from");

	if (addr_parse(&f->target, span_str(to)) != 0 &&
	    addr_set_host(&f->target, span_str(to), PORT_UNSAID) != 0)
		return "found no target, expected ADDRESS:PORT or a name";
	f->in_tag = tracer_in_tag(c, asked);
	if (!f->in_tag)
		return "no inbound and no bridge has that tag";
	if (*from && ip_parse(&f->source.ip, span_str(from)) != 0)
		return "found no address to come from";
	if (!*from)
		come_from_tun(f, c);
	f->local.ip = f->source.ip; /* bridges are told of a source as half of a pair */
	return NULL;
}

static struct tracer *tracer_new(struct core *c, struct tracer_user *u)
{
	struct tracer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->hook = (struct flow_hook){hook_verdict, hook_ended, hook_line};
	t->user = u;
	t->loop = c->workers[0].loop;
	t->begun_ms = loop_now(t->loop);
	t->err = 1;
	t->result = cJSON_CreateObject();
	t->lines = cJSON_AddArrayToObject(t->result, "lines");
	return t;
}

const char *tracer_start(struct core *c, const cJSON *asked, struct tracer_user *u)
{
	struct flow *f = flow_new(c, c->workers[0].loop, CONF_TCP);
	const char *fault = f ? fill(f, c, asked) : "out of memory";
	struct tracer *t = fault ? NULL : tracer_new(c, u);
	char to[ADDR_TEXT_MAX];
	struct stream *end[2];

	if (!fault && (!t || !t->lines || stream_pipe_new(t->loop, ROOM, end) != 0))
		fault = "out of memory";
	if (fault) {
		if (f)
			flow_abort(f, -ERR_CLOSED);
		if (t)
			cJSON_Delete(t->result);
		free(t);
		return fault;
	}
	cJSON_AddStringToObject(t->result, "to", addr_text(&f->target, to, sizeof(to)));
	t->end = end[0];
	f->in = end[1];
	f->in_half_close = true;
	f->hook = &t->hook;
	f->traced = true;
	flow_dispatch(f);
	return NULL;
}
