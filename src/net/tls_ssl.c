/* The generic engine: OpenSSL's own record layer behind the queues. */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/list.h"
#include "net/tls_conn.h"

struct tls_ssl {
	struct tls_engine e;
	struct tls_conn *c;
	bool broken, finished;
};

static struct tls_ssl *of(struct tls_engine *e)
{
	return container_of(e, struct tls_ssl, e);
}

static ssize_t give_up(struct tls_ssl *t)
{
	t->broken = true;
	t->e.why = tls_conn_explain(t->c);
	return t->c->io.broken ? -ERR_NOMEM : -ERR_TLS;
}

static ssize_t ssl_open(struct tls_engine *e, struct bufq *in, struct bufq *to,
			struct bufq *reply)
{
	struct tls_ssl *t = of(e);
	struct tls_bio *io = &t->c->io;
	ssize_t room = tls_record_ready(in);
	size_t before = io->read, cap;
	struct buf *b;
	int n;

	if (room == 0 || t->broken)
		return t->broken ? -ERR_TLS : 0;
	cap = room > 0 && room < TLS_PLAIN_MAX ? (size_t)room : TLS_PLAIN_MAX;
	b = buf_new(cap);
	if (!b)
		return -ERR_NOMEM;
	io->in = in;
	io->out = reply;
	tls_bio_next(io);
	ERR_clear_error();
	n = SSL_read(t->c->ssl, b->data, (int)cap);
	if (n > 0) {
		b->len = (uint32_t)n;
		bufq_push(to, b);
		return (ssize_t)(io->read - before);
	}
	buf_free(b);
	switch (SSL_get_error(t->c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return (ssize_t)(io->read - before);
	case SSL_ERROR_ZERO_RETURN:
		return -ERR_EOF;
	default:
		return give_up(t);
	}
}

static ssize_t ssl_seal(struct tls_engine *e, struct bufq *from, struct bufq *out)
{
	struct tls_ssl *t = of(e);
	struct span s;
	int n;

	if (t->broken || t->finished) {
		e->why = "written after the end";
		return -ERR_CLOSED;
	}
	if (bufq_empty(from))
		return 0;
	/* Small pieces share a record; a large first one goes alone, without a copy here. */
	s = bufq_pullup(from, from->head->len < BUF_SMALL ? TLS_PLAIN_MAX : from->head->len);
	if (s.n == 0)
		return -ERR_NOMEM;
	t->c->io.out = out;
	ERR_clear_error();
	n = SSL_write(t->c->ssl, s.p, s.n < TLS_PLAIN_MAX ? (int)s.n : TLS_PLAIN_MAX);
	if (n <= 0)
		return give_up(t);
	bufq_drop(from, (size_t)n);
	return n;
}

static void ssl_finish(struct tls_engine *e, struct bufq *out)
{
	struct tls_ssl *t = of(e);

	if (t->broken || t->finished)
		return;
	t->finished = true;
	t->c->io.out = out;
	ERR_clear_error();
	SSL_shutdown(t->c->ssl);
	ERR_clear_error();
}

static void ssl_free(struct tls_engine *e)
{
	struct tls_ssl *t = of(e);

	tls_conn_free(t->c);
	free(t);
}

static const struct tls_engine_ops ssl_ops = {
	.name = "tls",
	.open = ssl_open,
	.seal = ssl_seal,
	.finish = ssl_finish,
	.free = ssl_free,
};

struct tls_engine *tls_ssl_new(struct tls_conn *c)
{
	struct tls_ssl *t = calloc(1, sizeof(*t));

	if (!t) {
		tls_conn_free(c);
		return NULL;
	}
	t->e.ops = &ssl_ops;
	t->e.version = (unsigned)SSL_version(c->ssl);
	t->c = c;
	t->c->io.one = true;
	return &t->e;
}
