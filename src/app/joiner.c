#include "app/joiner.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/app.h"
#include "app/cli.h"
#include "base/err.h"
#include "base/list.h"
#include "conf/conf.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "flow/core.h"
#include "flow/flow.h"

enum { ANSWER_MAX = JOINMSG_ANSWER_HEAD + JOINTICKET_SEALED_MAX, HEX_MAX = 65 };

/* ---- the configuration ---- */

static void hex(char out[HEX_MAX], const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
}

static void add_security(cJSON *stream, const struct jointoken_hub *h)
{
	static const char *const alpn[] = {"h2", "http/1.1"};
	static const char *const names[] = {[JOINTOKEN_REALITY] = "reality", [JOINTOKEN_TLS] = "tls",
					    [JOINTOKEN_CLEAR] = "none"};
	char text[HEX_MAX];
	cJSON *s;

	cJSON_AddStringToObject(stream, "security", names[h->security]);
	if (h->security == JOINTOKEN_CLEAR)
		return;
	s = cJSON_AddObjectToObject(stream, h->security == JOINTOKEN_TLS ? "tlsSettings"
									: "realitySettings");
	cJSON_AddStringToObject(s, "serverName", h->server_name);
	cJSON_AddStringToObject(s, "fingerprint", "chrome");
	if (h->security == JOINTOKEN_TLS) {
		cJSON_AddItemToObject(s, "alpn", cJSON_CreateStringArray(alpn, 2));
		hex(text, h->pin, sizeof(h->pin));
		if (h->pinned)
			cJSON_AddStringToObject(s, "pinnedPeerCertSha256", text);
		return;
	}
	base64_encode(text, sizeof(text), span_of(h->public_key, sizeof(h->public_key)),
		      BASE64_URL | BASE64_RAW);
	cJSON_AddStringToObject(s, "publicKey", text);
	hex(text, h->short_id, sizeof(h->short_id));
	cJSON_AddStringToObject(s, "shortId", text);
	cJSON_AddStringToObject(s, "spiderX", "/");
}

static void add_outbound(cJSON *root, const struct jointoken_hub *h)
{
	cJSON *list = cJSON_AddArrayToObject(root, "outbounds"), *o = cJSON_CreateObject(), *s;
	char host[ADDR_TEXT_MAX], id[UUID_TEXT];

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "tag", "hub");
	cJSON_AddStringToObject(o, "protocol", "vless");
	s = cJSON_AddObjectToObject(o, "settings");
	cJSON_AddStringToObject(s, "address", addr_host_text(&h->address, host, sizeof(host)));
	cJSON_AddNumberToObject(s, "port", h->address.port);
	cJSON_AddStringToObject(s, "id", uuid_text(&h->account, id));
	cJSON_AddStringToObject(s, "encryption", "none");
	s = cJSON_AddObjectToObject(o, "streamSettings");
	cJSON_AddStringToObject(s, "network", "tcp");
	add_security(s, h);
	secret_wipe(id, sizeof(id));
}

/* What a node's own file has for this hub. NULL with @why. */
static struct conf *conf_of(const struct jointoken_hub *h, char why[JOINER_WHY_MAX])
{
	cJSON *root = cJSON_CreateObject();
	struct conf_msgs msgs = {0};
	struct conf *c = NULL;
	char *text;

	cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "log"), "loglevel", "none");
	cJSON_AddNumberToObject(root, "workers", 1);
	add_outbound(root, h);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	snprintf(why, JOINER_WHY_MAX, "out of memory");
	if (text) {
		c = conf_load_text("the token", span_str(text), &msgs);
		secret_wipe(text, strlen(text));
		free(text);
	}
	for (size_t i = 0; !c && i < msgs.n; i++)
		if (msgs.v[i].level == CONF_MSG_ERROR)
			conf_msg_text(&msgs.v[i], why, JOINER_WHY_MAX);
	conf_msgs_free(&msgs);
	return c;
}

/* ---- the conversation ---- */

struct talk {
	struct app_visit visit;
	struct loop *loop;
	struct joiner_reply *reply;
	uint32_t ms;
	struct flow *f; /* on its way */
	struct flow_taker taker;
	struct stream *s;
	struct stream_user on_stream;
	struct bufq out, in;
	size_t n; /* bytes of the answer so far */
	struct timer deadline;
};

static void over(struct talk *t, const char *why)
{
	struct flow *f = t->f;

	snprintf(t->reply->why, sizeof(t->reply->why), "%s", why);
	timer_stop(&t->deadline);
	t->f = NULL;
	if (f) {
		f->taker = NULL;
		flow_abort(f, -ERR_CLOSED);
	}
	stream_close(t->s, 0);
	t->s = NULL;
	bufq_clear(&t->out);
	bufq_clear(&t->in);
	loop_stop(t->loop);
}

static void fail(struct talk *t, int err, const char *why)
{
	over(t, why && *why ? why : err_name(err));
}

static void on_deadline(struct timer *tm)
{
	struct talk *t = container_of(tm, struct talk, deadline);

	fail(t, -ERR_TIMEOUT, t->s ? "it is silent: no answer in time" : "no connection in time");
}

/* What came is in @in; true when the talk is over. */
static bool understand(struct talk *t)
{
	size_t n = bufq_peek(&t->in, t->reply->bytes + t->n, ANSWER_MAX - t->n);
	ssize_t used;

	bufq_clear(&t->in);
	t->n += n;
	used = joinmsg_answer_decode(&t->reply->answer, span_of(t->reply->bytes, t->n));
	if (used == 0 && t->n < ANSWER_MAX)
		return false;
	t->reply->answered = used > 0;
	over(t, used == -ERR_UNSUPPORTED ? "it speaks of a later version of joining"
					 : "it answers, but not as a hub does");
	return true;
}

static void want(struct talk *t)
{
	stream_want(t->s, (unsigned)STREAM_READ |
				  (bufq_empty(&t->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct talk *t = container_of(u, struct talk, on_stream);
	ssize_t n = 0;

	if ((events & STREAM_WRITE) && !bufq_empty(&t->out))
		n = stream_write(s, &t->out);
	if (n >= 0 && (events & STREAM_READ))
		n = stream_read(s, &t->in, STREAM_READ_MAX);
	if (n == -ERR_EOF || n == -ERR_END)
		fail(t, (int)n, t->n ? "the connection broke in the middle of the answer"
				     : "it closed the connection without an answer: not this token's "
				       "hub, or its file is older than this feature");
	else if (n < 0)
		fail(t, (int)n, stream_why(s));
	else if (bufq_empty(&t->in) || !understand(t))
		want(t);
}

static void on_taken(struct flow_taker *ft, struct stream *out, int err, const char *why)
{
	struct talk *t = container_of(ft, struct talk, taker);

	t->f = NULL;
	if (!out) {
		fail(t, err, why);
		return;
	}
	t->s = out;
	t->on_stream.on_event = on_event;
	stream_attach(out, &t->on_stream);
	want(t);
}

static void begin(struct app_visit *v, struct core *c, struct loop *l)
{
	struct talk *t = container_of(v, struct talk, visit);

	t->loop = l;
	timer_init(&t->deadline, l, on_deadline);
	timer_start(&t->deadline, t->ms);
	t->f = flow_new(c, l, CONF_TCP);
	if (!t->f) {
		fail(t, -ERR_NOMEM, NULL);
		return;
	}
	t->taker.taken = on_taken;
	t->f->in_tag = "join";
	t->f->taker = &t->taker;
	t->f->out = c->outbounds[0];
	addr_set_host(&t->f->target, span_str("join.invalid"), 443); /* the hub does not look */
	flow_dispatch(t->f);
}

void joiner_ask(const struct jointoken_hub *hub, const struct joinmsg_request *q, uint32_t ms,
		struct joiner_reply *out)
{
	struct talk t = {.visit = {begin}, .reply = out, .ms = ms};
	uint8_t wire[JOINMSG_REQUEST_LEN];
	struct wr w = wr_of(wire, sizeof(wire));
	struct conf *c;

	*out = (struct joiner_reply){.answered = false};
	c = conf_of(hub, out->why);
	out->bytes = malloc(ANSWER_MAX);
	bufq_init(&t.in);
	bufq_init(&t.out);
	if (c && out->bytes && joinmsg_request_encode(&w, q) == 0 &&
	    bufq_append(&t.out, span_of(wire, w.n)) == 0) {
		snprintf(out->why, sizeof(out->why), "it cannot be tried");
		app_visit(c, &t.visit);
	}
	bufq_clear(&t.out);
	conf_free(c);
	secret_wipe(wire, sizeof(wire));
}

void joiner_reply_fini(struct joiner_reply *r)
{
	free(r->bytes);
	*r = (struct joiner_reply){.answered = false};
}
