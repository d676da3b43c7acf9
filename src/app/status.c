#include "app/status.h"

#include <unistd.h>

#include "app/cli.h"
#include "base/err.h"
#include "flow/flowinfo.h"
#include "flow/tally.h"
#include "route/observe.h"

static void add_inbounds(const struct status_view *v, cJSON *list)
{
	for (size_t i = 0; i < v->n_inbounds; i++) {
		const struct inbound *in = v->inbounds[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddItemToArray(list, o);
		cJSON_AddStringToObject(o, "tag", in->tag);
		cJSON_AddStringToObject(o, "protocol", in->conf->proto_name);
		inbound_describe(in, o);
	}
}

void status_begin(const struct status_view *v, cJSON *out)
{
	cJSON *list;

	cJSON_AddStringToObject(out, "node", v->core->node);
	cJSON_AddStringToObject(out, "version", cli_version());
	cJSON_AddNumberToObject(out, "pid", getpid());
	cJSON_AddNumberToObject(out, "up_ms",
				(double)(loop_now(v->core->workers[0].loop) - v->started_ms));
	cJSON_AddArrayToObject(out, "workers");
	add_inbounds(v, cJSON_AddArrayToObject(out, "inbounds"));
	list = cJSON_AddArrayToObject(out, "outbounds");
	for (size_t i = 0; i < v->core->n_outbounds; i++) {
		const struct outbound *o = v->core->outbounds[i];
		cJSON *row = cJSON_CreateObject();

		cJSON_AddItemToArray(list, row);
		cJSON_AddStringToObject(row, "tag", o->tag);
		cJSON_AddStringToObject(row, "protocol", o->ops->protocol);
	}
	cJSON_AddArrayToObject(out, "bridges");
}

static void add_observed(const struct observe_stats *s, cJSON *row)
{
	uint32_t delay = atomic_load(&s->delay_us);

	cJSON_AddNumberToObject(row, "probes", atomic_load(&s->probes));
	cJSON_AddNumberToObject(row, "probe_failures", atomic_load(&s->failures));
	if (delay)
		cJSON_AddNumberToObject(row, "probe_ms", delay / 1000.0);
}

static double number(const cJSON *o, const char *key)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

	return n ? n->valuedouble : 0;
}

static void set_number(cJSON *o, const char *key, double v)
{
	cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

	if (n)
		cJSON_SetNumberValue(n, v);
	else
		cJSON_AddNumberToObject(o, key, v);
}

static void set_text(cJSON *o, const char *key, const char *text)
{
	cJSON_DeleteItemFromObjectCaseSensitive(o, key);
	if (*text)
		cJSON_AddStringToObject(o, key, text);
}

/* Adds this worker's figures to what others have brought; the youngest failure is shown. */
static void add_tally(const struct tally *t, uint64_t now, cJSON *row)
{
	double ago = (double)(now - t->failed_ms);

	set_number(row, "served", number(row, "served") + (double)t->served);
	set_number(row, "failed", number(row, "failed") + (double)t->failed);
	set_number(row, "up", number(row, "up") + (double)t->up);
	set_number(row, "down", number(row, "down") + (double)t->down);
	if (t->failed_ms == 0)
		return;
	if (cJSON_HasObjectItem(row, "failed_ms_ago") && number(row, "failed_ms_ago") <= ago)
		return;
	set_number(row, "failed_ms_ago", ago);
	set_text(row, "last_error", err_name(t->err));
	set_text(row, "last_reason", t->why);
	set_text(row, "last_target", t->target);
}

static void visit_outbounds(const struct status_view *v, const struct worker *w, cJSON *list)
{
	struct core *c = v->core;

	for (size_t i = 0; i < c->n_outbounds; i++) {
		struct outbound *o = c->outbounds[i];
		cJSON *row = cJSON_GetArrayItem(list, (int)i);
		bool home = o->home ? o->home == w->loop : w == &c->workers[0];

		if (!row) /* it came by a reload, after this round had begun */
			return;
		if (i < w->n_tallies)
			add_tally(&w->tallies[i], loop_now(w->loop), row);
		if (!home)
			continue;
		if (o->stats)
			add_observed(o->stats, row);
		if (o->ops->describe)
			o->ops->describe(o, row);
	}
}

void status_visit(const struct status_view *v, const struct worker *w, cJSON *out)
{
	cJSON *row = cJSON_CreateObject();

	cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(out, "workers"), row);
	cJSON_AddNumberToObject(row, "flows", (double)w->n_flows);
	visit_outbounds(v, w, cJSON_GetObjectItemCaseSensitive(out, "outbounds"));
	for (size_t i = 0; i < v->n_bridges; i++) {
		cJSON *b;

		if (bridge_loop(v->bridges[i]) != w->loop)
			continue;
		b = cJSON_CreateObject();
		cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(out, "bridges"), b);
		bridge_describe(v->bridges[i], b);
	}
}

static cJSON *list_of(cJSON *out, const char *key)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(out, key);

	return list ? list : cJSON_AddArrayToObject(out, key);
}

void status_flows(const struct worker *w, uint64_t id, cJSON *out)
{
	cJSON *live = list_of(out, "live"), *ended = list_of(out, "ended");
	const struct history_entry *e;
	struct flow *f;

	list_each(f, &w->flows, all)
		if (id == 0 || f->id == id)
			cJSON_AddItemToArray(live, flowinfo_live(f));
	for (size_t i = 0; w->history && (e = history_at(w->history, i)) != NULL; i++)
		if (id == 0 || e->id == id)
			cJSON_AddItemToArray(ended, flowinfo_ended(e, loop_now(w->loop)));
}
