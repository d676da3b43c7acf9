#include "app/reload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/pause.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/shape.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "flow/inbound.h"
#include "flow/renewal.h"
#include "proxy/portal.h"
#include "route/lists.h"
#include "route/router.h"

enum { FAULT_MAX = 256, LINE_MAX_ = 1024 };

/* A configuration that came later than the first, with what was put in place for it; after that
 * @router and @renewals hold what it has replaced. */
struct version {
	struct list node;
	struct conf *conf;
	struct router *router;
	struct list renewals;
	struct outbound **portals; /* the core's, once there */
	size_t n_portals;
	struct core *core;
	int err;
};

struct reloader {
	const struct status_view *view;
	const struct files *files;
	const struct conf *running;
	const atomic_bool *stopping;
	struct list versions; /* the newest first: its router was made of what the next one holds */
	struct reload_user *user; /* while a thread reads */
	pthread_t thread;
};

/* What the thread has made of the files. */
struct reading {
	struct post post;
	struct reloader *owner;
	char *name, *text;
	struct conf *conf;
	struct router *router;
	char fault[FAULT_MAX]; /* "": it may be taken over */
	bool same;	       /* there is nothing to take over */
	cJSON *messages;
};

static void wipe(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

static void reading_free(struct reading *rd)
{
	router_free(rd->router);
	conf_free(rd->conf);
	free(rd->name);
	wipe(rd->text);
	cJSON_Delete(rd->messages);
	free(rd);
}

/* ---- the thread ---- */

static void note(struct reading *rd, const char *line)
{
	cJSON_AddItemToArray(rd->messages, cJSON_CreateString(line));
}

static void on_route_message(void *ctx, enum route_level level, const struct conf_at *at,
			     const char *text)
{
	char line[LINE_MAX_];

	snprintf(line, sizeof(line), "%s: %s:%d: %s: %s",
		 level == ROUTE_ERROR ? "error" : "warning", at->file, at->line, at->path, text);
	note(ctx, line);
}

static void load(struct reading *rd)
{
	const struct files *f = rd->owner->files;
	struct conf_msgs msgs = {0};

	rd->conf = rd->text ? conf_load_text(rd->name, span_str(rd->text), &msgs) :
			      conf_load(f->name, f->n, f->confdir, &msgs);
	for (size_t i = 0; i < msgs.n; i++) {
		char line[LINE_MAX_];

		note(rd, conf_msg_text(&msgs.v[i], line, sizeof(line)));
	}
	conf_msgs_free(&msgs);
}

static void compile(struct reading *rd)
{
	struct route_report report = {.msg = on_route_message, .ctx = rd};
	struct lists *lists = lists_new();
	uint64_t seed;

	if (lists && rand_bytes(&seed, sizeof(seed)) == 0)
		rd->router = router_new(&rd->conf->routing, lists, seed, &report);
	lists_free(lists);
	if (!rd->router || report.errors)
		snprintf(rd->fault, sizeof(rd->fault), "the rules cannot be used");
}

static void *read_all(void *arg)
{
	struct reading *rd = arg;
	char why[FAULT_MAX - 64];

	load(rd);
	if (!rd->conf)
		snprintf(rd->fault, sizeof(rd->fault), "the configuration has errors");
	else if (!conf_shape_allows(rd->owner->running, rd->conf, why, sizeof(why)))
		snprintf(rd->fault, sizeof(rd->fault), "%s, which needs a restart", why);
	else if (conf_shape_same(rd->owner->running, rd->conf))
		rd->same = true;
	else
		compile(rd);
	loop_post(rd->owner->view->core->workers[0].loop, &rd->post);
	return NULL;
}

/* ---- putting it in place ---- */

static void renewals_free(struct list *l)
{
	while (!list_empty(l)) {
		struct renewal *r = list_first(l, struct renewal, node);

		list_del(&r->node);
		r->free(r);
	}
}

/* One that was not put in place, or after the loops. */
static void version_free(struct version *v, bool in_use)
{
	renewals_free(&v->renewals);
	for (size_t i = 0; i < v->n_portals && !in_use; i++)
		v->portals[i]->ops->free(v->portals[i]);
	free(v->portals);
	router_free(v->router);
	conf_free(v->conf);
	free(v);
}

static int keep(struct version *v, struct renewal *r)
{
	if (!r)
		return -ERR_NOMEM;
	list_add_tail(&v->renewals, &r->node);
	return 0;
}

/* In the order of the files, which is that of the objects. */
static int make_renewals(struct reloader *r, struct version *v)
{
	struct core *core = r->view->core;
	int err = 0;

	for (size_t i = 0; i < v->conf->n_inbounds && !err; i++) {
		struct inbound *in = r->view->inbounds[i];

		if (in->ops->renewal)
			err = keep(v, in->ops->renewal(in, &v->conf->inbounds[i]));
	}
	for (size_t i = 0; i < v->conf->n_outbounds && !err; i++) {
		struct outbound *o = core->outbounds[i];

		if (o->ops->renewal)
			err = keep(v, o->ops->renewal(o, &v->conf->outbounds[i]));
	}
	return err;
}

static bool has_portal(const struct version *v, const char *tag)
{
	for (size_t i = 0; i < v->n_portals; i++)
		if (strcmp(v->portals[i]->tag, tag) == 0)
			return true;
	return core_outbound(v->core, tag) != NULL;
}

static int make_portal(struct version *v, const char *tag)
{
	struct outbound **more;

	if (!*tag || has_portal(v, tag))
		return 0;
	more = realloc(v->portals, (v->n_portals + 1) * sizeof(*more));
	if (!more)
		return -ERR_NOMEM;
	v->portals = more;
	more[v->n_portals] = portal_new_vless(v->core, tag);
	if (!more[v->n_portals])
		return -ERR_NOMEM;
	v->n_portals++;
	return 0;
}

static int make_portals(struct version *v)
{
	int err = 0;

	for (size_t i = 0; i < v->conf->n_inbounds; i++) {
		const struct conf_inbound *in = &v->conf->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users && !err; u++)
			err = make_portal(v, in->vless.users[u].reverse_tag);
	}
	return err;
}

/* All loops stand still. */
static void put_in_place(void *ctx)
{
	struct version *v = ctx;
	struct router *old = v->core->router;
	struct renewal *r;

	v->err = core_reserve_outbounds(v->core, v->n_portals);
	if (v->err)
		return;
	for (size_t i = 0; i < v->n_portals; i++)
		core_add_outbound(v->core, v->portals[i]);
	list_each(r, &v->renewals, node)
		r->apply(r);
	v->core->router = v->router;
	v->router = old;
}

/* Takes what @rd has read. */
static struct version *take_over(struct reloader *r, struct reading *rd)
{
	struct version *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	list_init(&v->renewals);
	v->core = r->view->core;
	v->conf = rd->conf;
	v->router = rd->router;
	rd->conf = NULL;
	rd->router = NULL;
	if (make_renewals(r, v) == 0 && make_portals(v) == 0 &&
	    pause_all(v->core, put_in_place, v) == 0 && v->err == 0) {
		list_add_head(&r->versions, &v->node);
		r->running = v->conf;
		return v;
	}
	version_free(v, false);
	return NULL;
}

/* ---- words ---- */

static size_t count_users(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_inbounds; i++)
		if (c->inbounds[i].proto == CONF_IN_VLESS)
			n += c->inbounds[i].vless.n_users;
	return n;
}

/* What stood in the way, and below it what was said of the files. */
static void say_fault(const struct reading *rd, cJSON *out)
{
	const char *fault = *rd->fault ? rd->fault : "out of memory";
	const cJSON *m;
	size_t n = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);

	if (f) {
		fprintf(f, "nothing was changed: %s", fault);
		cJSON_ArrayForEach(m, rd->messages)
			fprintf(f, "\n%s", cJSON_GetStringValue(m));
		fclose(f);
	}
	cJSON_AddStringToObject(out, "fault", text ? text : fault);
	free(text);
	log_warn("app", "a reload was refused: %s", fault);
}

static void log_version(const struct version *v)
{
	log_warn("app", "another configuration: users %zu, rules %zu, new portals %zu",
		 count_users(v->conf), v->conf->routing.n_rules, v->n_portals);
}

/* @v: NULL when nothing had changed. */
static void describe(const struct reloader *r, const struct version *v, struct reading *rd,
		     cJSON *out)
{
	cJSON *portals = cJSON_AddArrayToObject(out, "portals");

	cJSON_AddStringToObject(out, "node", r->view->core->node);
	cJSON_AddBoolToObject(out, "changed", v != NULL);
	cJSON_AddItemToObject(out, "messages", rd->messages);
	rd->messages = NULL;
	cJSON_AddNumberToObject(out, "users", (double)count_users(r->running));
	cJSON_AddNumberToObject(out, "rules", (double)r->running->routing.n_rules);
	for (size_t i = 0; v && i < v->n_portals; i++)
		cJSON_AddItemToArray(portals, cJSON_CreateString(v->portals[i]->tag));
}

static void on_read(struct loop *l, struct post *p)
{
	struct reading *rd = container_of(p, struct reading, post);
	struct reloader *r = rd->owner;
	struct reload_user *u = r->user;
	cJSON *out = cJSON_CreateObject();
	struct version *v = NULL;

	(void)l;
	if (u) /* else reload_stop has waited for it */
		pthread_join(r->thread, NULL);
	r->user = NULL;
	if (u && !atomic_load(r->stopping)) {
		if (!*rd->fault && !rd->same)
			v = take_over(r, rd);
		if (v)
			log_version(v);
		if (v || rd->same)
			describe(r, v, rd, out);
		else
			say_fault(rd, out);
		u->on_reloaded(u, out);
		out = NULL;
	}
	cJSON_Delete(out);
	reading_free(rd);
}

/* ---- the reloader ---- */

const char *reload_start(struct reloader *r, const char *name, const char *text,
			 struct reload_user *u)
{
	struct reading *rd;

	if (r->user)
		return "another reload is under way";
	if (!text && files_have_stdin(r->files))
		return "the configuration came from standard input, -c names a file to take over";
	rd = calloc(1, sizeof(*rd));
	if (!rd)
		return "out of memory";
	rd->post.run = on_read;
	rd->owner = r;
	rd->messages = cJSON_CreateArray();
	rd->name = strdup(name ? name : "");
	rd->text = text ? strdup(text) : NULL;
	if (!rd->messages || !rd->name || (text && !rd->text) ||
	    pthread_create(&r->thread, NULL, read_all, rd) != 0) {
		reading_free(rd);
		return "out of memory";
	}
	r->user = u;
	return NULL;
}

struct reloader *reload_new(const struct status_view *v, const struct files *files,
			    const struct conf *running, const atomic_bool *stopping)
{
	struct reloader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->view = v;
	r->files = files;
	r->running = running;
	r->stopping = stopping;
	list_init(&r->versions);
	return r;
}

void reload_stop(struct reloader *r)
{
	if (!r || !r->user)
		return;
	pthread_join(r->thread, NULL);
	r->user = NULL;
}

void reload_free(struct reloader *r)
{
	if (!r)
		return;
	while (!list_empty(&r->versions)) {
		struct version *v = list_first(&r->versions, struct version, node);

		list_del(&v->node);
		version_free(v, true);
	}
	free(r);
}
