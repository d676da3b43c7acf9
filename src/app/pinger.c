#include "app/pinger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tracer.h"
#include "base/err.h"
#include "crypto/rand.h"
#include "net/dgram.h"
#include "proto/echo.h"

enum {
	COUNT_MAX = 10,
	COUNT = 4,
	PAUSE_MS = 1000, /* as ping(8) */
	WAIT_MS = 2000,	 /* for the last answer */
	PAYLOAD = 56,	 /* as ping(8) */
};

struct pinger {
	struct flow_hook hook;
	struct dgram d; /* what the flow, which may live in another loop, takes for its client */
	struct pinger_user *user;
	struct addr target;
	struct timer next;
	cJSON *result, *answers;
	uint64_t sent_ms[COUNT_MAX];
	bool answered[COUNT_MAX];
	unsigned count, sent, got;
	uint16_t id;
	int err;
	struct garbage garbage;
};

static struct pinger *of(struct dgram *d)
{
	return container_of(d, struct pinger, d);
}

static void ask_once(struct pinger *p)
{
	static const uint8_t payload[PAYLOAD] = "garenne ping";
	struct echo e = {.kind = ECHO_REQUEST,
			 .id = p->id,
			 .seq = (uint16_t)p->sent,
			 .payload = span_of(payload, sizeof(payload))};
	struct buf *b = buf_new(ECHO_HEAD + PAYLOAD);
	struct wr w;

	p->sent_ms[p->sent++] = loop_now(p->d.loop);
	if (!b)
		return;
	w = wr_of(b->data, ECHO_HEAD + PAYLOAD);
	echo_encode(&w, &e);
	b->len = (uint32_t)w.n;
	dgram_deliver(&p->d, &p->target, b);
}

static void on_next(struct timer *t)
{
	struct pinger *p = container_of(t, struct pinger, next);

	if (p->sent == p->count) {
		dgram_ended(&p->d, -ERR_EOF);
		return;
	}
	ask_once(p);
	timer_start(t, p->sent < p->count ? PAUSE_MS : WAIT_MS);
}

static void note(struct pinger *p, const struct echo *e)
{
	cJSON *o = cJSON_CreateObject();
	char text[46], error[32];

	cJSON_AddItemToArray(p->answers, o);
	cJSON_AddNumberToObject(o, "seq", e->seq + 1);
	cJSON_AddNumberToObject(o, "ms", (double)(loop_now(p->d.loop) - p->sent_ms[e->seq]));
	if (e->kind != ECHO_ERROR)
		return;
	snprintf(error, sizeof(error), "ICMP type %u code %u", e->type, e->code);
	cJSON_AddStringToObject(o, "error", error);
	cJSON_AddStringToObject(o, "from", ip_text(&e->offender, text, sizeof(text)));
}

/* What came back. */
static void on_answer(struct dgram *d, const struct addr *from, struct buf *pkt)
{
	struct pinger *p = of(d);
	struct echo e;

	(void)from;
	if (echo_decode(&e, buf_span(pkt)) == 0 && e.kind != ECHO_REQUEST && e.id == p->id &&
	    e.seq < p->sent && !p->answered[e.seq]) {
		p->answered[e.seq] = true;
		p->got++;
		note(p, &e);
		if (p->got == p->count)
			timer_start(&p->next, 0);
	}
	buf_free(pkt);
}

/* Nothing may be delivered any more; the flow's end comes by the hook. */
static void on_close(struct dgram *d, int err)
{
	(void)err;
	timer_stop(&of(d)->next);
}

static void on_verdict(struct flow_hook *h, struct stream **in, int err)
{
	(void)in;
	container_of(h, struct pinger, hook)->err = err;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct pinger, garbage));
}

static void on_ended(struct flow_hook *h, struct loop *l)
{
	struct pinger *p = container_of(h, struct pinger, hook);

	timer_stop(&p->next);
	cJSON_AddNumberToObject(p->result, "sent", p->sent);
	cJSON_AddStringToObject(p->result, "error", p->err ? err_name(p->err) : "");
	p->user->on_pinged(p->user, p->result);
	p->garbage.destroy = destroy;
	loop_free_later(l, &p->garbage);
}

static const struct dgram_ops ops = {.name = "ping", .send = on_answer, .close = on_close};

static struct pinger *pinger_new(const struct flow *f, unsigned count, struct pinger_user *u)
{
	struct pinger *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (rand_bytes(&p->id, sizeof(p->id)) != 0) {
		free(p);
		return NULL;
	}
	p->hook = (struct flow_hook){.verdict = on_verdict, .ended = on_ended};
	p->user = u;
	p->target = f->target;
	p->count = count;
	dgram_init(&p->d, &ops, f->loop);
	timer_init(&p->next, f->loop, on_next);
	p->result = cJSON_CreateObject();
	p->answers = cJSON_AddArrayToObject(p->result, "answers");
	return p;
}

const char *pinger_start(struct core *c, const cJSON *asked, struct pinger_user *u)
{
	const char *to = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(asked, "to"));
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(asked, "count");
	double count = cJSON_IsNumber(n) ? n->valuedouble : COUNT;
	const char *in_tag = tracer_in_tag(c, asked);
	struct flow *f;
	struct pinger *p;
	struct addr target;

	if (!to || addr_set_host(&target, span_str(to), ECHO_PORT) != 0)
		return "found no target, expected an address or a name";
	if (count < 1 || count > COUNT_MAX)
		return "expected a count from 1 to 10";
	if (!in_tag)
		return "no inbound and no bridge has that tag";
	f = flow_new(c, c->workers[0].loop, CONF_UDP);
	if (f)
		f->target = target;
	p = f ? pinger_new(f, (unsigned)count, u) : NULL;
	if (!p) {
		if (f)
			flow_abort(f, -ERR_NOMEM);
		return "out of memory";
	}
	cJSON_AddStringToObject(p->result, "to", to);
	f->in_tag = in_tag;
	f->in_dgram = &p->d;
	f->hook = &p->hook;
	timer_start(&p->next, 0);
	flow_dispatch(f);
	return NULL;
}
