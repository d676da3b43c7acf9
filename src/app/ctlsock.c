#include "app/ctlsock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/pinger.h"
#include "app/reload.h"
#include "app/tracer.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rundir.h"
#include "net/listen.h"
#include "net/sock_unix.h"
#include "net/stream_tcp.h"
#include "proxy/intake.h"

enum {
	REQUEST_MAX = 4 << 20, /* a whole configuration */
	DEADLINE_MS = 30000,
	CONNECTIONS_MAX = 64,
	PATH_TEXT = 160,
};

struct ctlsock {
	const struct status_view *view;
	struct reloader *reloader;
	const atomic_bool *stopping;
	struct listener_user on_listener;
	struct listener *listener;
	unsigned n_connections;
};

/* One question. Lives until its conversation is over and nobody prepares an answer. */
struct question {
	struct ctlsock *owner;
	struct intake_user on_intake;
	struct intake intake;
	struct tracer_user on_trace;
	struct pinger_user on_ping;
	struct reload_user on_reload;
	bool talking, busy; /* busy: an answer is being prepared */
	struct garbage garbage;
};

struct round {
	struct survey s;
	struct question *q;
	uint64_t id;
};

static void question_destroy(struct garbage *g)
{
	free(container_of(g, struct question, garbage));
}

static void question_over(struct question *q)
{
	struct ctlsock *c = q->owner;

	if (q->talking || q->busy)
		return;
	c->n_connections--;
	if (c->listener)
		listener_wake(c->listener);
	q->garbage.destroy = question_destroy;
	loop_free_later(c->view->core->workers[0].loop, &q->garbage);
}

/* ---- answers ---- */

static void say(struct question *q, const cJSON *what)
{
	char *text = what ? cJSON_PrintUnformatted(what) : NULL;

	if (text) {
		intake_say(&q->intake, span_str(text));
		intake_say(&q->intake, span_str("\n"));
	}
	free(text);
	intake_finish(&q->intake);
}

static void say_fault(struct question *q, const char *fault)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "fault", fault);
	say(q, o);
	cJSON_Delete(o);
}

static void round_done(struct survey *s)
{
	struct question *q = container_of(s, struct round, s)->q;

	q->busy = false;
	if (q->talking)
		say(q, s->out);
	else
		question_over(q);
}

static void round_destroy(struct survey *s)
{
	cJSON_Delete(s->out);
	free(container_of(s, struct round, s));
}

static void visit_status(struct survey *s, struct worker *w)
{
	const struct status_view *v = container_of(s, struct round, s)->q->owner->view;

	if (s->at == 1)
		status_begin(v, s->out);
	status_visit(v, w, s->out);
}

static void visit_flows(struct survey *s, struct worker *w)
{
	status_flows(w, container_of(s, struct round, s)->id, s->out);
}

static bool round_start(struct question *q, void (*visit)(struct survey *s, struct worker *w),
			uint64_t id)
{
	struct round *r = calloc(1, sizeof(*r));

	if (!r)
		return false;
	r->q = q;
	r->id = id;
	r->s = (struct survey){
		.core = q->owner->view->core,
		.stopping = q->owner->stopping,
		.out = cJSON_CreateObject(),
		.visit = visit,
		.done = round_done,
		.destroy = round_destroy,
	};
	q->busy = true;
	survey_start(&r->s);
	return true;
}

/* ---- a trace, a ping, a reload ---- */

static void answered(struct question *q, cJSON *result)
{
	q->busy = false;
	if (q->talking)
		say(q, result);
	else
		question_over(q);
	cJSON_Delete(result);
}

static void on_traced(struct tracer_user *u, cJSON *result)
{
	answered(container_of(u, struct question, on_trace), result);
}

static void on_pinged(struct pinger_user *u, cJSON *result)
{
	answered(container_of(u, struct question, on_ping), result);
}

static const char *trace_start(struct question *q, const cJSON *req)
{
	const char *fault;

	q->on_trace.on_traced = on_traced;
	q->busy = true;
	fault = tracer_start(q->owner->view->core, req, &q->on_trace);
	q->busy = fault == NULL;
	return fault;
}

static const char *ping_start(struct question *q, const cJSON *req)
{
	const char *fault;

	q->on_ping.on_pinged = on_pinged;
	q->busy = true;
	fault = pinger_start(q->owner->view->core, req, &q->on_ping);
	q->busy = fault == NULL;
	return fault;
}

static void on_reloaded(struct reload_user *u, cJSON *result)
{
	answered(container_of(u, struct question, on_reload), result);
}

static const char *text_of(const cJSON *req, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(req, key));
}

static const char *reload(struct question *q, const cJSON *req)
{
	struct reloader *r = q->owner->reloader;
	const char *fault;

	if (!r)
		return "out of memory";
	q->on_reload.on_reloaded = on_reloaded;
	q->busy = true;
	fault = reload_start(r, text_of(req, "name"), text_of(req, "text"), &q->on_reload);
	q->busy = fault == NULL;
	return fault;
}

/* ---- questions ---- */

static void ask(struct question *q, const cJSON *req)
{
	const char *what = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(req, "do"));
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(req, "id");
	const char *fault = NULL;
	bool ok = true;

	if (what && strcmp(what, "status") == 0)
		ok = round_start(q, visit_status, 0);
	else if (what && strcmp(what, "flows") == 0)
		ok = round_start(q, visit_flows, 0);
	else if (what && strcmp(what, "why") == 0 && cJSON_IsNumber(id) && id->valuedouble >= 1)
		ok = round_start(q, visit_flows, (uint64_t)id->valuedouble);
	else if (what && strcmp(what, "trace") == 0)
		fault = trace_start(q, req);
	else if (what && strcmp(what, "ping") == 0)
		fault = ping_start(q, req);
	else if (what && strcmp(what, "reload") == 0)
		fault = reload(q, req);
	else
		fault = "found no known \"do\", expected status, flows, why with an id, trace, ping or "
			"reload";
	if (!ok)
		fault = "out of memory";
	if (fault)
		say_fault(q, fault);
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct question *q = container_of(u, struct question, on_intake);
	const uint8_t *end = in.n ? memchr(in.p, '\n', in.n) : NULL;
	cJSON *req;

	if (q->busy)
		return 0;
	if (!end)
		return k->eof ? -ERR_EOF : 0;
	req = cJSON_ParseWithLength((const char *)in.p, (size_t)(end - in.p));
	ask(q, req);
	cJSON_Delete(req);
	return end - in.p + 1;
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct question *q = container_of(u, struct question, on_intake);

	(void)k;
	(void)rest;
	stream_close(s, 0);
	q->talking = false;
	question_over(q);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	struct question *q = container_of(u, struct question, on_intake);

	(void)k;
	(void)err;
	q->talking = false;
	question_over(q);
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void on_accept(struct listener_user *u, struct listener *l, const struct accepted *a)
{
	struct ctlsock *c = container_of(u, struct ctlsock, on_listener);
	struct loop *loop = c->view->core->workers[0].loop;
	struct intake_terms terms = {.limit = REQUEST_MAX, .deadline_ms = DEADLINE_MS};
	struct question *q;
	struct stream *s;

	(void)l;
	if (!may_ask(a->fd)) {
		close(a->fd);
		return;
	}
	s = stream_tcp_new(loop, a->fd);
	q = s ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	q->owner = c;
	q->talking = true;
	c->n_connections++;
	q->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	intake_start(&q->intake, s, NULL, &terms, &q->on_intake);
}

static bool may_accept(struct listener_user *u, struct listener *l)
{
	(void)l;
	return container_of(u, struct ctlsock, on_listener)->n_connections < CONNECTIONS_MAX;
}

/* ---- where it lies ---- */

/* What a killed process left: nobody answers there any more. */
static void sweep(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		size_t n = strlen(e->d_name);
		int fd, len;

		if (n < 6 || strcmp(e->d_name + n - 5, ".sock") != 0)
			continue;
		len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", folder, e->d_name);
		if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
			continue;
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 &&
		    errno == ECONNREFUSED)
			unlink(sa.sun_path);
		if (fd != -1)
			close(fd);
	}
	if (d)
		closedir(d);
}

static const char *socket_path(const struct conf_control *conf, char *out, size_t cap)
{
	char folder[PATH_TEXT - 32];

	if (*conf->socket) {
		bool open_to_all = *conf->socket == '/' && !strchr(conf->socket, ',');

		snprintf(out, cap, "%s%s", conf->socket, open_to_all ? ",0600" : "");
		return out;
	}
	if (!rundir(folder, sizeof(folder)))
		return NULL;
	if (mkdir(folder, 0755) == 0 || errno == EEXIST)
		sweep(folder);
	snprintf(out, cap, "%s/%d.sock,0600", folder, getpid());
	return out;
}

struct ctlsock *ctlsock_start(const struct status_view *v, struct reloader *r,
			      const atomic_bool *stopping)
{
	const struct conf_control *conf = &v->core->conf->control;
	char path[PATH_TEXT], why[NET_WHY_MAX];
	struct listen_spec spec = {.path = conf->off ? NULL : socket_path(conf, path, sizeof(path))};
	struct ctlsock *c = spec.path ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->view = v;
	c->reloader = r;
	c->stopping = stopping;
	c->on_listener = (struct listener_user){.on_accept = on_accept, .may_accept = may_accept};
	c->listener = listener_new(v->core->workers[0].loop, &spec, &c->on_listener, why);
	if (!c->listener) {
		log_warn("control", "no control socket: %s: %s", spec.path, why);
		free(c);
		return NULL;
	}
	log_info("control", "answers at %s", spec.path);
	return c;
}

void ctlsock_stop(struct ctlsock *c)
{
	if (!c)
		return;
	listener_close(c->listener);
	c->listener = NULL;
}

void ctlsock_free(struct ctlsock *c)
{
	free(c);
}
