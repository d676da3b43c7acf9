#include "net/spider_web.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/rand.h"

struct spider_web {
	atomic_uint refs;
	pthread_mutex_t lock;
	char *host;
	char *path[SPIDER_WEB_MAX];
	size_t n;
};

struct spider_web *spider_web_new(void)
{
	struct spider_web *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	atomic_init(&w->refs, 1);
	pthread_mutex_init(&w->lock, NULL);
	return w;
}

struct spider_web *spider_web_ref(struct spider_web *w)
{
	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return w;
}

static void forget(struct spider_web *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->path[i]);
	free(w->host);
	w->host = NULL;
	w->n = 0;
}

void spider_web_unref(struct spider_web *w)
{
	if (!w || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	forget(w);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static bool is_for(const struct spider_web *w, const char *host)
{
	return w->host && strcmp(w->host, host) == 0;
}

void spider_web_add(struct spider_web *w, const char *host, struct span path)
{
	size_t i = 0;

	pthread_mutex_lock(&w->lock);
	if (!is_for(w, host)) {
		forget(w);
		w->host = strdup(host);
	}
	while (i < w->n && !span_eq(span_str(w->path[i]), path))
		i++;
	if (w->host && i == w->n && w->n < SPIDER_WEB_MAX) {
		w->path[i] = strndup((const char *)path.p, path.n);
		w->n += w->path[i] != NULL;
	}
	pthread_mutex_unlock(&w->lock);
}

char *spider_web_pick(struct spider_web *w, const char *host, const char *start)
{
	const char *path = start;
	char *out;
	size_t i;

	pthread_mutex_lock(&w->lock);
	if (is_for(w, host)) {
		i = rand_below((uint32_t)w->n + 1);
		if (i < w->n)
			path = w->path[i];
	}
	out = strdup(path);
	pthread_mutex_unlock(&w->lock);
	return out;
}
