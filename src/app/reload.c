#include "app/reload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/infile.h"
#include "app/takeover.h"
#include "base/log.h"
#include "conf/shape.h"
#include "crypto/rand.h"
#include "route/lists.h"
#include "route/router.h"

enum { FAULT_MAX = 256, LINE_MAX_ = 1024 };

struct reloader {
	const struct status_view *view;
	const struct files *files;
	const struct conf *running;
	const atomic_bool *stopping;
	struct list takeovers; /* the newest first: what it replaced was made of what the next one holds */
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

static void reading_free(struct reading *rd)
{
	router_free(rd->router);
	conf_free(rd->conf);
	free(rd->name);
	infile_wipe(rd->text);
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

	note(ctx, files_rule_text(level, at, text, line, sizeof(line)));
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

/* @t: NULL when nothing had changed. */
static void describe(const struct reloader *r, const struct takeover *t, struct reading *rd,
		     cJSON *out)
{
	cJSON *portals = cJSON_AddArrayToObject(out, "portals");

	cJSON_AddStringToObject(out, "node", r->view->core->node);
	cJSON_AddBoolToObject(out, "changed", t != NULL);
	cJSON_AddItemToObject(out, "messages", rd->messages);
	rd->messages = NULL;
	cJSON_AddNumberToObject(out, "users", (double)count_users(r->running));
	cJSON_AddNumberToObject(out, "rules", (double)r->running->routing.n_rules);
	for (size_t i = 0; t && i < t->n_portals; i++)
		cJSON_AddItemToArray(portals, cJSON_CreateString(t->portals[i]->tag));
}

/* Puts what @rd has read in place; NULL when memory was out. */
static struct takeover *take_over(struct reloader *r, struct reading *rd)
{
	struct takeover *t = takeover_make(r->view->core, r->view->inbounds, rd->conf, rd->router);

	rd->conf = NULL;
	rd->router = NULL;
	if (!t)
		return NULL;
	list_add_head(&r->takeovers, &t->node);
	r->running = t->conf;
	log_warn("app", "another configuration: users %zu, rules %zu, new portals %zu",
		 count_users(t->conf), t->conf->routing.n_rules, t->n_portals);
	return t;
}

static cJSON *answer(struct reloader *r, struct reading *rd)
{
	bool may = !*rd->fault && !rd->same;
	struct takeover *t = may ? take_over(r, rd) : NULL;
	cJSON *out = cJSON_CreateObject();

	if (t || rd->same)
		describe(r, t, rd, out);
	else
		say_fault(rd, out);
	return out;
}

static void on_read(struct loop *l, struct post *p)
{
	struct reading *rd = container_of(p, struct reading, post);
	struct reloader *r = rd->owner;
	struct reload_user *u = r->user;

	(void)l;
	if (u) /* else reload_stop has waited for it */
		pthread_join(r->thread, NULL);
	r->user = NULL;
	if (u && !atomic_load(r->stopping))
		u->on_reloaded(u, answer(r, rd));
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
	list_init(&r->takeovers);
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
	while (!list_empty(&r->takeovers)) {
		struct takeover *t = list_first(&r->takeovers, struct takeover, node);

		list_del(&t->node);
		takeover_free(t);
	}
	free(r);
}
