#include "net/spider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "proto/h2.h"

enum {
	REQUEST_MAX = 16384,
	PADDING_MAX = 4096,
	FIELDS_MAX = 16,
	ANSWERS_MAX = 4096, /* of frames, queued: a site that asks for more is left alone */
};

struct spider {
	struct stream *s;
	struct stream_user on;
	struct bufq in, out;
	size_t got;
	bool h2;
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

/* The fields of the browser, and the cookie that hides how long the request is. */
static size_t fill_fields(struct h2_field *to, const struct spider_visit *v, char *cookie)
{
	const struct h2_field *from = strcmp(v->profile, "firefox") == 0  ? firefox
				      : strcmp(v->profile, "chrome") == 0 ? chrome
									  : safari;
	uint32_t lo = (uint32_t)v->conf->padding.from, hi = (uint32_t)v->conf->padding.to;
	size_t n = 0, len = lo + rand_below(hi - lo + 1);

	for (; from->name; from++)
		to[n++] = *from;
	if (len == 0)
		return n;
	memcpy(cookie, "padding=", 8);
	memset(cookie + 8, '0', len);
	cookie[8 + len] = 0;
	to[n++] = (struct h2_field){"cookie", cookie};
	return n;
}

static void put_http1(struct wr *w, const struct spider_visit *v, const struct h2_field *f,
		      size_t n)
{
	char line[REQUEST_MAX];
	int len = snprintf(line, sizeof(line),
			   "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n",
			   v->conf->path, v->host);

	wr_bytes(w, line, len > 0 && (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) + 1);
	for (size_t i = 0; i < n && !w->bad; i++) {
		wr_bytes(w, f[i].name, strlen(f[i].name));
		wr_bytes(w, ": ", 2);
		wr_bytes(w, f[i].value, strlen(f[i].value));
		wr_bytes(w, "\r\n", 2);
	}
	wr_bytes(w, "\r\n", 2);
}

static int make_request(struct spider *sp, const struct spider_visit *v)
{
	struct h2_field fields[FIELDS_MAX];
	char cookie[PADDING_MAX + 16];
	size_t n = fill_fields(fields, v, cookie);
	struct buf *b = buf_new(REQUEST_MAX);
	struct wr w;

	if (!b)
		return -ERR_NOMEM;
	w = wr_of(b->data, REQUEST_MAX);
	if (!sp->h2)
		put_http1(&w, v, fields, n);
	else if (h2_get_encode(&w, v->host, v->conf->path, fields, n) != 0)
		w.bad = true;
	b->len = (uint32_t)w.n;
	bufq_push(&sp->out, b);
	return w.bad ? -ERR_LIMIT : 0;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct spider, garbage));
}

static void end(struct spider *sp, int err)
{
	struct loop *l = sp->s->loop;

	timer_stop(&sp->life);
	loop_disown(&sp->orphan);
	bufq_clear(&sp->in);
	bufq_clear(&sp->out);
	stream_want(sp->s, 0);
	stream_attach(sp->s, NULL);
	stream_close(sp->s, err);
	sp->garbage.destroy = destroy;
	loop_free_later(l, &sp->garbage);
}

/* Answers what HTTP/2 wants answered. False when the site does not speak it after all. */
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
		bufq_drop(&sp->in, (size_t)n);
		if (sp->out.len + w.n > ANSWERS_MAX ||
		    bufq_append(&sp->out, span_of(answer, w.n)) != 0)
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
	if (err) {
		end(sp, 0);
		return;
	}
	stream_want(s, (sp->got < SPIDER_READ_MAX ? (unsigned)STREAM_READ : 0u) |
			       (bufq_empty(&sp->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void on_life_over(struct timer *t)
{
	end(container_of(t, struct spider, life), 0);
}

static void on_loop_over(struct orphan *o)
{
	end(container_of(o, struct spider, orphan), -ERR_CLOSED);
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
	timer_init(&sp->life, s->loop, on_life_over);
	list_init(&sp->garbage.node);
	sp->orphan.end = on_loop_over;
	loop_adopt(s->loop, &sp->orphan);
	stream_attach(s, &sp->on);
	timer_start(&sp->life, SPIDER_LIFE_MS);
	if (make_request(sp, v) != 0) {
		end(sp, 0);
		return;
	}
	log_debug("reality", "visiting %s as a browser", v->host);
	stream_want(s, STREAM_READ | STREAM_WRITE);
}
