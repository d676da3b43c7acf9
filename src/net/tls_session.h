/* Sessions that a client may resume, by server name; shared by all threads. */
#ifndef GARENNE_NET_TLS_SESSION_H
#define GARENNE_NET_TLS_SESSION_H

#include <openssl/ssl.h>

struct tls_sessions;

enum { TLS_SESSIONS_MAX = 128 };

/** Gives, or NULL. */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *s);
/** Remembers; the least recently used one makes room. Takes @session. */
void tls_sessions_put(struct tls_sessions *s, const char *name, SSL_SESSION *session);
/** Gives a session for @name, or NULL. A TLS 1.3 ticket is forgotten with it: it is for one use. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *s, const char *name);

#endif
