#include "flow/flowinfo.h"

#include "base/err.h"
#include "flow/outbound.h"
#include "conf/routing.h"

static const char *const state_text[] = {"new",	    "sniffing", "routing",
					 "opening", "relaying", "ended"};

static void add_text(cJSON *o, const char *key, const char *text)
{
	if (text && *text)
		cJSON_AddStringToObject(o, key, text);
}

static void add_rule(cJSON *o, const struct conf_rule *r)
{
	cJSON *j = r ? cJSON_AddObjectToObject(o, "rule") : NULL;

	if (!j)
		return;
	cJSON_AddNumberToObject(j, "number", (double)r->number);
	add_text(j, "tag", r->rule_tag);
	add_text(j, "file", r->at.file);
	cJSON_AddNumberToObject(j, "line", r->at.line);
}

/* What both kinds have. */
static cJSON *begin(uint64_t id, const char *state, unsigned net, const struct ipport *from,
		    const struct addr *to, const char *user)
{
	cJSON *o = cJSON_CreateObject();
	char text[ADDR_TEXT_MAX];

	cJSON_AddNumberToObject(o, "id", (double)id);
	cJSON_AddStringToObject(o, "state", state);
	cJSON_AddStringToObject(o, "net", net == CONF_TCP ? "tcp" : "udp");
	cJSON_AddStringToObject(o, "from", ipport_text(from, text, sizeof(text)));
	cJSON_AddStringToObject(o, "to", addr_text(to, text, sizeof(text)));
	add_text(o, "user", user);
	return o;
}

static void add_way(cJSON *o, const char *in, const char *out, const struct conf_rule *rule)
{
	add_text(o, "in", in);
	add_text(o, "out", out);
	add_rule(o, rule);
}

static void add_figures(cJSON *o, uint64_t up, uint64_t down, uint64_t ms)
{
	cJSON_AddNumberToObject(o, "up", (double)up);
	cJSON_AddNumberToObject(o, "down", (double)down);
	cJSON_AddNumberToObject(o, "ms", (double)ms);
}

cJSON *flowinfo_live(const struct flow *f)
{
	bool tcp = f->net == CONF_TCP && f->state == FLOW_RELAYING;
	cJSON *o = begin(f->id, state_text[f->state], f->net, &f->source, &f->target, f->user);

	add_way(o, f->in_tag, f->out ? f->out->tag : "", f->rule);
	add_text(o, "seen", f->seen_name);
	add_text(o, "protocol", f->protocol);
	add_figures(o, tcp ? f->relay.up.bytes : f->up, tcp ? f->relay.down.bytes : f->down,
		    loop_now(f->loop) - f->started_ms);
	return o;
}

cJSON *flowinfo_ended(const struct history_entry *e, uint64_t now_ms)
{
	cJSON *o = begin(e->id, "ended", e->net, &e->source, &e->target, e->user);

	add_way(o, e->in_tag, e->out_tag, e->rule);
	add_figures(o, e->up, e->down, e->lasted_ms);
	cJSON_AddNumberToObject(o, "ago_ms", (double)(now_ms - e->ended_ms));
	if (e->err) {
		cJSON_AddStringToObject(o, "error", err_name(e->err));
		cJSON_AddStringToObject(o, "side", e->in_side ? "client" : "far");
	}
	add_text(o, "reason", e->why);
	return o;
}
