#include "flow/observatory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "flow/probe.h"
#include "route/observe.h"

enum {
	INTERVAL_MIN_MS = 100, /* whatever a file says: it is somebody's server */
	TIMEOUT_MIN_MS = 100,
	FAILED = 0, /* as a sample; no probe takes less than a microsecond */
};

/* One outbound under observation. The first loop owns it; while @busy, the probe's loop owns the
 * members below. */
struct subject {
	struct observatory *ob;
	struct outbound *o;
	struct loop *loop;
	struct observe_stats stats;
	struct timer due; /* burst */
	uint32_t *samples;
	size_t n_samples, next_sample;
	bool busy;

	struct post begin, done;
	struct probe_user on_probe;
	bool checking; /* our own line */
	int err;
	bool line_down;
	uint32_t delay_us;
	char why[PROBE_WHY_MAX];
};

struct observatory {
	struct core *core;
	const struct conf_observatory *conf;
	struct loop *loop;
	struct probe_target *target, *line;
	struct subject *subjects;
	size_t n;
	uint64_t interval_ms;
	uint32_t timeout_ms;
	struct timer pace; /* plain */
	size_t turn;
	bool first_round;
	atomic_bool stopped; /* read by all loops */
};

static bool is_burst(const struct observatory *ob)
{
	return ob->conf->kind == CONF_OBSERVE_BURST;
}

/* ---- what is known ---- */

static void keep_sample(struct subject *s, uint32_t sample)
{
	size_t cap = s->ob->conf->sampling;

	s->samples[s->next_sample] = sample;
	s->next_sample = (s->next_sample + 1) % cap;
	if (s->n_samples < cap)
		s->n_samples++;
}

static void write_burst(struct subject *s)
{
	double sum = 0, squares = 0, mean, deviation;
	uint32_t good = 0;

	for (size_t i = 0; i < s->n_samples; i++) {
		if (s->samples[i] == FAILED)
			continue;
		good++;
		sum += s->samples[i];
	}
	mean = good ? sum / good : 0;
	for (size_t i = 0; i < s->n_samples; i++)
		if (s->samples[i] != FAILED)
			squares += (s->samples[i] - mean) * (s->samples[i] - mean);
	/* One sample says nothing of how much they differ: a guess that is not too good. */
	deviation = good > 1 ? sqrt(squares / good) : mean / 2;
	atomic_store(&s->stats.delay_us, (uint32_t)mean);
	atomic_store(&s->stats.deviation_us, (uint32_t)deviation);
	atomic_store(&s->stats.probes, (uint32_t)s->n_samples);
	atomic_store(&s->stats.failures, (uint32_t)s->n_samples - good);
	atomic_store(&s->stats.health, good ? OBSERVE_ALIVE : OBSERVE_DEAD);
}

static void write_plain(struct subject *s)
{
	if (!s->err) {
		atomic_store(&s->stats.delay_us, s->delay_us);
		atomic_store(&s->stats.deviation_us, s->delay_us);
	}
	atomic_store(&s->stats.health, s->err ? OBSERVE_DEAD : OBSERVE_ALIVE);
}

static void record(struct subject *s)
{
	uint32_t before = atomic_load(&s->stats.health), now;

	if (is_burst(s->ob)) {
		keep_sample(s, s->err ? FAILED : s->delay_us ? s->delay_us : 1);
		write_burst(s);
	} else {
		write_plain(s);
	}
	now = atomic_load(&s->stats.health);
	if (now == before)
		return;
	if (now == OBSERVE_DEAD)
		log_warn("observatory", "the outbound [%s] is dead: %s", s->o->tag, s->why);
	else
		log_info("observatory", "the outbound [%s] is alive: %u ms", s->o->tag,
			 s->delay_us / 1000);
}

/* ---- one probe ---- */

/* Back on the first loop. */
static void report(struct subject *s)
{
	loop_post(s->ob->loop, &s->done);
}

static void probe_failed(struct subject *s, int err, const char *why)
{
	s->err = err;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_line_checked(struct subject *s, int err)
{
	s->checking = false;
	s->line_down = err != 0;
	report(s);
}

static void on_probed(struct probe_user *u, int err, uint32_t delay_us, const char *why)
{
	struct subject *s = container_of(u, struct subject, on_probe);
	struct observatory *ob = s->ob;

	if (s->checking) {
		on_line_checked(s, err);
		return;
	}
	s->err = 0;
	s->delay_us = delay_us;
	if (err)
		probe_failed(s, err, why);
	if (err && ob->line && !atomic_load(&ob->stopped)) {
		s->checking = probe_start(ob->core, s->loop, ob->line, NULL, ob->timeout_ms,
					  &s->on_probe) != NULL;
		if (s->checking)
			return;
	}
	report(s);
}

/* On the probe's loop. */
static void on_begin(struct loop *l, struct post *p)
{
	struct subject *s = container_of(p, struct subject, begin);
	struct observatory *ob = s->ob;

	if (atomic_load(&ob->stopped)) /* its outbound may be gone */
		return;
	s->line_down = false;
	if (probe_start(ob->core, l, ob->target, s->o, ob->timeout_ms, &s->on_probe))
		return;
	s->line_down = true; /* says nothing about the outbound */
	report(s);
}

/* False when there is nothing to wait for. */
static bool begin(struct subject *s)
{
	if (s->busy || (s->o->ops->alive && !s->o->ops->alive(s->o)))
		return false;
	s->busy = true;
	s->begin.run = on_begin;
	loop_post(s->loop, &s->begin);
	return true;
}

/* ---- when ---- */

static void go_on(struct observatory *ob)
{
	if (++ob->turn == ob->n) {
		ob->turn = 0;
		ob->first_round = false;
	}
	timer_start(&ob->pace, ob->first_round ? 1 : ob->interval_ms);
}

static bool any_busy(const struct observatory *ob)
{
	for (size_t i = 0; i < ob->n; i++)
		if (ob->subjects[i].busy)
			return true;
	return false;
}

static void on_done(struct loop *l, struct post *p)
{
	struct subject *s = container_of(p, struct subject, done);
	struct observatory *ob = s->ob;

	(void)l;
	s->busy = false;
	if (atomic_load(&ob->stopped))
		return;
	if (!s->line_down)
		record(s);
	if (is_burst(ob))
		return;
	if (!ob->conf->concurrent)
		go_on(ob);
	else if (!any_busy(ob))
		timer_start(&ob->pace, ob->interval_ms);
}

static void on_pace(struct timer *t)
{
	struct observatory *ob = container_of(t, struct observatory, pace);

	if (!ob->conf->concurrent) {
		if (!begin(&ob->subjects[ob->turn]))
			go_on(ob);
		return;
	}
	for (size_t i = 0; i < ob->n; i++)
		begin(&ob->subjects[i]);
	if (!any_busy(ob))
		timer_start(&ob->pace, ob->interval_ms);
}

/* One per interval on average, but not in step with the others or with anything. */
static void on_due(struct timer *t)
{
	struct subject *s = container_of(t, struct subject, due);
	uint64_t random, interval = s->ob->interval_ms;

	rand_fill(&random, sizeof(random));
	timer_start(&s->due, interval / 2 + random % (interval + 1));
	begin(s);
}

void observatory_start(struct observatory *ob)
{
	if (ob->n == 0)
		return;
	if (!is_burst(ob)) {
		timer_start(&ob->pace, 1);
		return;
	}
	for (size_t i = 0; i < ob->n; i++)
		timer_start(&ob->subjects[i].due, 1);
}

void observatory_stop(struct observatory *ob)
{
	if (!ob || atomic_load(&ob->stopped))
		return;
	atomic_store(&ob->stopped, true);
	timer_stop(&ob->pace);
	for (size_t i = 0; i < ob->n; i++)
		timer_stop(&ob->subjects[i].due);
}

/* ---- making ---- */

static bool is_selected(const struct conf_observatory *conf, const struct outbound *o)
{
	if (!*o->tag)
		return false;
	for (size_t i = 0; i < conf->selectors.n; i++)
		if (strncmp(o->tag, conf->selectors.v[i], strlen(conf->selectors.v[i])) == 0)
			return true;
	return false;
}

static int add_subject(struct observatory *ob, struct outbound *o)
{
	struct subject *s = &ob->subjects[ob->n];

	s->samples = calloc(ob->conf->sampling ? ob->conf->sampling : 1, sizeof(*s->samples));
	if (!s->samples)
		return -ERR_NOMEM;
	s->ob = ob;
	s->o = o;
	s->loop = o->home ? o->home : ob->loop;
	s->done.run = on_done;
	s->on_probe.on_probed = on_probed;
	timer_init(&s->due, ob->loop, on_due);
	o->stats = &s->stats;
	ob->n++;
	return 0;
}

static int add_targets(struct observatory *ob, const struct conf_tls *tls)
{
	const struct conf_observatory *conf = ob->conf;
	char why[PROBE_WHY_MAX];

	ob->target = probe_target_new(conf->url, conf->method, tls, why);
	if (ob->target && *conf->connectivity)
		ob->line = probe_target_new(conf->connectivity, conf->method, tls, why);
	if (ob->target && (ob->line || !*conf->connectivity))
		return 0;
	log_err("observatory", "at %s:%d: %s", conf->at.file, conf->at.line, why);
	return -ERR_MALFORMED;
}

static uint32_t at_least(uint32_t v, uint32_t min)
{
	return v < min ? min : v;
}

struct observatory *observatory_new(struct core *c, const struct conf_observatory *conf,
				    const struct conf_tls *tls)
{
	struct observatory *ob = calloc(1, sizeof(*ob));
	int err;

	if (!ob)
		return NULL;
	ob->core = c;
	ob->conf = conf;
	ob->loop = c->workers[0].loop;
	ob->interval_ms = at_least(conf->interval_ms, INTERVAL_MIN_MS);
	ob->timeout_ms = at_least(conf->timeout_ms, TIMEOUT_MIN_MS);
	ob->first_round = true;
	atomic_init(&ob->stopped, false);
	timer_init(&ob->pace, ob->loop, on_pace);
	ob->subjects = calloc(c->n_outbounds + 1, sizeof(*ob->subjects));
	err = ob->subjects ? add_targets(ob, tls) : -ERR_NOMEM;
	for (size_t i = 0; i < c->n_outbounds && !err; i++)
		if (is_selected(conf, c->outbounds[i]))
			err = add_subject(ob, c->outbounds[i]);
	if (!err)
		return ob;
	observatory_free(ob);
	return NULL;
}

void observatory_free(struct observatory *ob)
{
	if (!ob)
		return;
	for (size_t i = 0; i < ob->n; i++)
		free(ob->subjects[i].samples);
	free(ob->subjects);
	probe_target_free(ob->target);
	probe_target_free(ob->line);
	free(ob);
}
