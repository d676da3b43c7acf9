#include "net/spider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/spider_page.h"
#include "net/spider_web.h"
#include "proto/h2.h"
#include "proto/weblinks.h"

enum {
	REQUEST_MAX = 16384,
	PADDING_MAX = 4096,
	FIELDS_MAX = 16,
	PAGE_MAX = 262144, /* unpacked */
	/* of frames, queued behind requests: a site that asks for more is left alone */
	ANSWERS_MAX = 4096 + SPIDER_WORKERS_MAX * REQUEST_MAX,
};

/* One after the other it asks for pages; the first one of all is the first's. */
struct worker {
	struct spider *sp;
	struct timer pause;
	struct bufq body;
	char *path, *referer; /* of the page that it asks for, or has */
	uint32_t stream;      /* 0: none is under way */
	unsigned left;
};

struct spider {
	struct stream *s;
	struct stream_user on;
	struct bufq in, out;
	size_t got;
	struct conf_spider conf; /* its path is ours */
	char *host, *first;	 /* the first page of all, once there is it */
	const struct h2_field *browser;
	struct spider_web *web;
	struct worker worker[SPIDER_WORKERS_MAX];
	uint32_t next_stream;
	bool h2, leaving; /* the site takes no more requests */
	struct timer life;
	struct orphan orphan;
	struct garbage garbage;
};

static const struct h2_field chrome[] = {
	{"sec-ch-ua",
	 "\"Not(A:Brand\";v=\"99\", \"Google Chrome\";v=\"133\", \"Chromium\";v=\"133\""},
	{"sec-ch-ua-mobile", "?0"},
	{"sec-ch-ua-platform", "\"Windows\""},
	{"upgrade-insecure-requests", "1"},
	{"user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
		       "Gecko) Chrome/133.0.0.0 Safari/537.36"},
	{"accept",
	 "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/"
	 "apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"},
	{"sec-fetch-site", "none"},
	{"sec-fetch-mode", "navigate"},
	{"sec-fetch-user", "?1"},
	{"sec-fetch-dest", "document"},
	{"accept-encoding", "gzip, deflate, br, zstd"},
	{"accept-language", "en-US,en;q=0.9"},
	{NULL, NULL},
};

static const struct h2_field firefox[] = {
	{"user-agent",
	 "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:148.0) Gecko/20100101 Firefox/148.0"},
	{"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"accept-language", "en-US,en;q=0.9"},
	{"accept-encoding", "gzip, deflate, br, zstd"},
	{"upgrade-insecure-requests", "1"},
	{"sec-fetch-dest", "document"},
	{"sec-fetch-mode", "navigate"},
	{"sec-fetch-site", "none"},
	{"sec-fetch-user", "?1"},
	{NULL, NULL},
};

static const struct h2_field safari[] = {
	{"sec-fetch-dest", "document"},
	{"user-agent",
	 "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, "
	 "like Gecko) Version/26.3 Safari/605.1.15"},
	{"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"sec-fetch-site", "none"},
	{"sec-fetch-mode", "navigate"},
	{"accept-language", "en-US,en;q=0.9"},
	{"accept-encoding", "gzip, deflate, br"},
	{NULL, NULL},
};

static uint32_t draw(struct conf_range r)
{
	return (uint32_t)r.from + rand_below((uint32_t)(r.to - r.from) + 1);
}

static const struct h2_field *fields_of(const char *profile)
{
	if (strcmp(profile, "firefox") == 0)
		return firefox;
	return strcmp(profile, "chrome") == 0 ? chrome : safari;
}

/* The fields of the browser, where it comes from, and the cookie that hides how long the request
 * is. @referer: "" for the first page of a visit. */
static size_t fill_fields(struct h2_field *to, const struct spider *sp, const char *referer,
			  char *cookie)
{
	size_t n = 0, len = draw(sp->conf.padding);

	for (const struct h2_field *from = sp->browser; from->name; from++) {
		if (*referer && strcmp(from->name, "accept-encoding") == 0)
			to[n++] = (struct h2_field){"referer", referer};
		to[n] = *from;
		if (*referer && strcmp(from->name, "sec-fetch-site") == 0)
			to[n].value = "same-origin";
		n++;
	}
	if (len == 0)
		return n;
	memcpy(cookie, "padding=", 8);
	memset(cookie + 8, '0', len);
	cookie[8 + len] = 0;
	to[n++] = (struct h2_field){"cookie", cookie};
	return n;
}

static void put_http1(struct wr *w, const struct spider *sp, const char *path,
		      const struct h2_field *f, size_t n)
{
	char line[REQUEST_MAX];
	int len = snprintf(line, sizeof(line),
			   "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n", path,
			   sp->host);

	wr_bytes(w, line, len > 0 && (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) + 1);
	for (size_t i = 0; i < n && !w->bad; i++) {
		wr_bytes(w, f[i].name, strlen(f[i].name));
		wr_bytes(w, ": ", 2);
		wr_bytes(w, f[i].value, strlen(f[i].value));
		wr_bytes(w, "\r\n", 2);
	}
	wr_bytes(w, "\r\n", 2);
}

static int put_request(struct spider *sp, const struct worker *k)
{
	struct h2_field fields[FIELDS_MAX];
	char cookie[PADDING_MAX + 16], referer[REQUEST_MAX / 4] = "";
	struct buf *b = buf_new(REQUEST_MAX);
	struct wr w;
	size_t n;

	if (!b)
		return -ERR_NOMEM;
	if (k->referer)
		snprintf(referer, sizeof(referer), "https://%s%s", sp->host, k->referer);
	n = fill_fields(fields, sp, referer, cookie);
	w = wr_of(b->data, REQUEST_MAX);
	if (!sp->h2)
		put_http1(&w, sp, k->path, fields, n);
	else if ((sp->next_stream == 1 && h2_opening_encode(&w) != 0) ||
		 h2_get_encode(&w, sp->next_stream, sp->host, k->path, fields, n) != 0)
		w.bad = true;
	b->len = (uint32_t)w.n;
	bufq_push(&sp->out, b);
	return w.bad ? -ERR_LIMIT : 0;
}

static void destroy(struct garbage *g)
{
	struct spider *sp = container_of(g, struct spider, garbage);

	for (size_t i = 0; i < SPIDER_WORKERS_MAX; i++) {
		bufq_clear(&sp->worker[i].body);
		free(sp->worker[i].path);
		free(sp->worker[i].referer);
	}
	spider_web_unref(sp->web);
	free((char *)(uintptr_t)sp->conf.path);
	free(sp->first);
	free(sp->host);
	free(sp);
}

static void end(struct spider *sp, int err)
{
	struct loop *l = sp->s->loop;

	timer_stop(&sp->life);
	for (size_t i = 0; i < SPIDER_WORKERS_MAX; i++)
		timer_stop(&sp->worker[i].pause);
	loop_disown(&sp->orphan);
	bufq_clear(&sp->in);
	bufq_clear(&sp->out);
	stream_want(sp->s, 0);
	stream_attach(sp->s, NULL);
	stream_close(sp->s, err);
	sp->garbage.destroy = destroy;
	loop_free_later(l, &sp->garbage);
}

static void set_wants(struct spider *sp)
{
	bool full = !sp->h2 && sp->got >= SPIDER_READ_MAX;

	stream_want(sp->s, (full ? 0u : (unsigned)STREAM_READ) |
				   (bufq_empty(&sp->out) ? 0u : (unsigned)STREAM_WRITE));
}

/* ---- from page to page ---- */

/* @k asks for a page that is known, coming from @referer (NULL: from nowhere). */
static void ask(struct worker *k, const char *referer)
{
	struct spider *sp = k->sp;
	char *from = referer ? strdup(referer) : NULL;

	free(k->path);
	free(k->referer);
	k->path = spider_web_pick(sp->web, sp->host, sp->conf.path);
	k->referer = from;
	if (sp->leaving || !k->path || put_request(sp, k) != 0)
		return;
	k->stream = sp->next_stream;
	sp->next_stream += 2;
	timer_start(&sp->life, SPIDER_LIFE_MS);
	set_wants(sp);
}

static void on_pause_over(struct timer *t)
{
	struct worker *k = container_of(t, struct worker, pause);

	ask(k, k->path);
}

static void read_links(struct worker *k)
{
	struct span packed = bufq_pullup(&k->body, k->body.len), html, path;
	uint8_t *page = malloc(PAGE_MAX);

	if (page) {
		html = span_of(page, spider_page_unpack(page, PAGE_MAX, packed));
		while (weblink_next(&html, k->sp->host, &path))
			spider_web_add(k->sp->web, k->sp->host, path);
	}
	free(page);
	bufq_clear(&k->body);
}

/* The first page is there: some crawl on from it. */
static void spread(struct spider *sp)
{
	size_t n = draw(sp->conf.concurrency);

	sp->first = strdup(sp->worker[0].path);
	for (size_t i = 0; i < n && i < SPIDER_WORKERS_MAX && sp->first; i++) {
		sp->worker[i].left = draw(sp->conf.times);
		if (sp->worker[i].left > 0)
			ask(&sp->worker[i], sp->first);
	}
}

static void on_page(struct worker *k)
{
	struct spider *sp = k->sp;

	k->stream = 0;
	read_links(k);
	if (!sp->first)
		spread(sp);
	else if (--k->left > 0)
		timer_start(&k->pause, draw(sp->conf.interval));
}

static struct worker *worker_of(struct spider *sp, uint32_t stream)
{
	for (size_t i = 0; i < SPIDER_WORKERS_MAX && stream; i++)
		if (sp->worker[i].stream == stream)
			return &sp->worker[i];
	return NULL;
}

/* False when it is no HTTP/2. */
static bool take_frame(struct spider *sp, const struct h2_frame *f)
{
	struct worker *k = worker_of(sp, f->stream);
	struct span content;

	if (f->type == H2_GOAWAY)
		sp->leaving = true;
	if (!k)
		return true;
	if (f->type == H2_DATA) {
		if (h2_data_decode(&content, f) != 0)
			return false;
		if (k->body.len < SPIDER_READ_MAX && bufq_append(&k->body, content) != 0)
			return false;
	}
	if (f->type == H2_RST_STREAM ||
	    ((f->type == H2_DATA || f->type == H2_HEADERS) && (f->flags & H2_END_STREAM)))
		on_page(k);
	return true;
}

/* Takes pages and answers what HTTP/2 wants answered. */
static bool take_frames(struct spider *sp)
{
	for (;;) {
		uint8_t answer[H2_HEADER_LEN + 8];
		struct wr w = wr_of(answer, sizeof(answer));
		struct h2_frame f;
		ssize_t n = h2_frame_decode(
			&f, bufq_pullup(&sp->in, H2_HEADER_LEN + (size_t)H2_FRAME_MAX));

		if (n <= 0)
			return n == 0;
		h2_answer_encode(&w, &f);
		if (!take_frame(sp, &f))
			return false;
		bufq_drop(&sp->in, (size_t)n);
		if (w.n > 0 && (sp->out.len + w.n > ANSWERS_MAX ||
				bufq_append(&sp->out, span_of(answer, w.n)) != 0))
			return false;
	}
}

/* 0, or why the visit is over. */
static int take_input(struct spider *sp)
{
	ssize_t n = stream_read(sp->s, &sp->in, H2_FRAME_MAX);

	if (n < 0)
		return (int)n;
	sp->got += (size_t)n;
	if (sp->h2)
		return take_frames(sp) ? 0 : -ERR_MALFORMED;
	bufq_clear(&sp->in);
	return 0;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct spider *sp = container_of(u, struct spider, on);
	int err = 0;

	if (events & STREAM_READ)
		err = take_input(sp);
	if (err == 0 && !bufq_empty(&sp->out)) {
		ssize_t n = stream_write(s, &sp->out);

		err = n < 0 ? (int)n : 0;
	}
	if (err)
		end(sp, 0);
	else
		set_wants(sp);
}

static void on_life_over(struct timer *t)
{
	end(container_of(t, struct spider, life), 0);
}

static void on_loop_over(struct orphan *o)
{
	end(container_of(o, struct spider, orphan), -ERR_CLOSED);
}

/* Copies what is borrowed. False when memory is out. */
static bool keep(struct spider *sp, const struct spider_visit *v)
{
	sp->conf = *v->conf;
	sp->conf.path = strdup(v->conf->path);
	sp->host = strdup(v->host);
	sp->web = spider_web_ref(v->web);
	sp->browser = fields_of(v->profile);
	return sp->conf.path && sp->host;
}

void spider_start(struct stream *s, const struct spider_visit *v)
{
	struct spider *sp = calloc(1, sizeof(*sp));

	if (!sp) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	sp->s = s;
	sp->on.on_event = on_event;
	sp->h2 = strcmp(v->alpn, "h2") == 0;
	sp->next_stream = 1;
	for (size_t i = 0; i < SPIDER_WORKERS_MAX; i++) {
		sp->worker[i].sp = sp;
		timer_init(&sp->worker[i].pause, s->loop, on_pause_over);
	}
	timer_init(&sp->life, s->loop, on_life_over);
	list_init(&sp->garbage.node);
	sp->orphan.end = on_loop_over;
	loop_adopt(s->loop, &sp->orphan);
	stream_attach(s, &sp->on);
	if (!keep(sp, v)) {
		end(sp, 0);
		return;
	}
	ask(&sp->worker[0], NULL);
	if (bufq_empty(&sp->out)) {
		end(sp, 0);
		return;
	}
	log_debug("reality", "visiting %s as a browser", v->host);
}
