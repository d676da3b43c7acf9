#include "net/tls_bio.h"

#include <string.h>

#include "base/err.h"
#include "net/tls_record.h"

/* How much of the queue's front OpenSSL may have now. */
static size_t allowance(struct tls_bio *io)
{
	ssize_t n;

	if (io->garbage)
		return io->in->len;
	if (io->left > 0)
		return io->left;
	if (io->one && io->used)
		return 0;
	n = tls_record_ready(io->in);
	if (n == 0)
		return 0;
	io->used = true;
	if (n < 0) { /* OpenSSL's to complain about: it knows the right alert */
		io->garbage = true;
		return io->in->len;
	}
	io->left = (size_t)n;
	return io->left;
}

static int bio_read(BIO *b, char *to, size_t n, size_t *got)
{
	struct tls_bio *io = BIO_get_data(b);
	size_t may = allowance(io);

	BIO_clear_retry_flags(b);
	if (may == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	*got = bufq_peek(io->in, to, n < may ? n : may);
	bufq_drop(io->in, *got);
	io->left -= io->garbage ? 0 : *got;
	io->read += *got;
	return 1;
}

static int bio_write(BIO *b, const char *from, size_t n, size_t *put)
{
	struct tls_bio *io = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (bufq_append(io->out, span_of(from, n)) != 0) {
		io->broken = true;
		return 0;
	}
	*put = n;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "queues");

	if (!m)
		return NULL;
	BIO_meth_set_read_ex(m, bio_read);
	BIO_meth_set_write_ex(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	return m;
}

int tls_bio_attach(SSL *ssl, BIO_METHOD *method, struct tls_bio *io)
{
	BIO *b = BIO_new(method);

	if (!b)
		return -ERR_NOMEM;
	memset(io, 0, sizeof(*io));
	BIO_set_data(b, io);
	BIO_set_init(b, 1);
	SSL_set_bio(ssl, b, b);
	return 0;
}
