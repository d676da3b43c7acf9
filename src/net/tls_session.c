#include "net/tls_session.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char *name;
	SSL_SESSION *session; /* NULL: free */
	uint64_t used;
};

struct tls_sessions {
	pthread_mutex_t lock;
	uint64_t clock;
	struct entry v[TLS_SESSIONS_MAX];
};

struct tls_sessions *tls_sessions_new(void)
{
	struct tls_sessions *s = calloc(1, sizeof(*s));

	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void entry_clear(struct entry *e)
{
	SSL_SESSION_free(e->session);
	free(e->name);
	*e = (struct entry){NULL, NULL, 0};
}

void tls_sessions_free(struct tls_sessions *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < TLS_SESSIONS_MAX; i++)
		entry_clear(&s->v[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct entry *find(struct tls_sessions *s, const char *name)
{
	for (size_t i = 0; i < TLS_SESSIONS_MAX; i++)
		if (s->v[i].session && strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

/* A free one has never been used, so it is the oldest. */
static struct entry *oldest(struct tls_sessions *s)
{
	struct entry *e = &s->v[0];

	for (size_t i = 1; i < TLS_SESSIONS_MAX; i++)
		if (s->v[i].used < e->used)
			e = &s->v[i];
	return e;
}

void tls_sessions_put(struct tls_sessions *s, const char *name, SSL_SESSION *session)
{
	char *copy = strdup(name);
	struct entry *e;

	if (!copy) {
		SSL_SESSION_free(session);
		return;
	}
	pthread_mutex_lock(&s->lock);
	e = find(s, name);
	if (!e)
		e = oldest(s);
	entry_clear(e);
	*e = (struct entry){copy, session, ++s->clock};
	pthread_mutex_unlock(&s->lock);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s, const char *name)
{
	SSL_SESSION *session = NULL;
	struct entry *e;

	pthread_mutex_lock(&s->lock);
	e = find(s, name);
	if (e) {
		session = e->session;
		SSL_SESSION_up_ref(session);
		e->used = ++s->clock;
		if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
			entry_clear(e);
	}
	pthread_mutex_unlock(&s->lock);
	return session;
}
