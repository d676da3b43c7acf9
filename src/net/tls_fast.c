#include "net/tls_engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "net/tls_alert.h"

enum {
	/* Section 5.5 allows 2^24.5 full records under one AES-GCM key. */
	RECORDS_PER_KEY = 1 << 23,
	/* Records in a row that bring no data: more is a peer that wants to keep us busy. */
	IDLE_RECORDS_MAX = 32,
	/* Answers are put off while so much waits unsent; one answers any number of requests. */
	REPLY_MAX = 4096,
};

/* Handshake messages after the handshake, section 4. */
enum {
	MSG_HEADER_LEN = 4,
	MSG_NEW_SESSION_TICKET = 4,
	MSG_KEY_UPDATE = 24,
	KEY_UPDATE_LEN = 1,
	/* lifetime, age, nonce, ticket, extensions with their lengths */
	TICKET_MAX = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534,
};

struct tls_fast {
	struct tls_engine e;
	struct tls_dir rd, wr;
	bool server, eof, owes_update, finished;
	uint32_t key_records; /* how many one sending key may protect */
	unsigned idle;
	/* the handshake message that is being received, over records if need be */
	uint8_t msg[MSG_HEADER_LEN + KEY_UPDATE_LEN];
	uint8_t msg_have;
	uint32_t msg_skip; /* bytes of an ignored message still to come */
};

static struct tls_fast *of(struct tls_engine *e)
{
	return container_of(e, struct tls_fast, e);
}

static int seal_bytes(struct tls_fast *f, uint8_t type, struct span s, struct bufq *out)
{
	struct bufq q = {NULL, NULL, 0};
	struct buf *b = buf_copy(s);
	ssize_t n;

	if (!b)
		return -ERR_NOMEM;
	bufq_push(&q, b);
	n = tls_record_seal(&f->wr, type, &q, out);
	bufq_clear(&q);
	return n < 0 ? (int)n : 0;
}

/* Tells the peer and remembers why; the result is what open returns. */
static int fail(struct tls_fast *f, struct bufq *reply, enum tls_alert alert, const char *why)
{
	const uint8_t msg[2] = {TLS_ALERT_FATAL, (uint8_t)alert};

	f->e.why = why;
	if (!f->finished)
		seal_bytes(f, TLS_TYPE_ALERT, span_of(msg, sizeof(msg)), reply);
	f->finished = true;
	return -ERR_TLS;
}

static int no_memory(struct tls_fast *f)
{
	f->e.why = "out of memory";
	return -ERR_NOMEM;
}

/* The next generation of our sending keys; the peer's are its own affair. */
static int update_write(struct tls_fast *f, struct bufq *out)
{
	static const uint8_t msg[] = {MSG_KEY_UPDATE, 0, 0, KEY_UPDATE_LEN, 0};
	int err;

	f->owes_update = false;
	err = seal_bytes(f, TLS_TYPE_HANDSHAKE, span_of(msg, sizeof(msg)), out);
	return err ? err : tls_dir_update(&f->wr);
}

static int on_key_update(struct tls_fast *f, uint8_t asked, bool last, struct bufq *reply)
{
	if (!last) /* section 5.1: nothing may follow under the old keys */
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE,
			    "data behind a key update in one record");
	if (asked > 1)
		return fail(f, reply, TLS_ALERT_ILLEGAL_PARAMETER, "bad key update");
	if (tls_dir_update(&f->rd) != 0)
		return no_memory(f);
	if (asked)
		f->owes_update = true;
	if (f->owes_update && !f->finished && reply->len < REPLY_MAX && update_write(f, reply) != 0)
		return no_memory(f);
	return 0;
}

/* A complete header of a message is in f->msg. */
static int on_msg_header(struct tls_fast *f, struct bufq *reply)
{
	uint32_t len = (uint32_t)f->msg[1] << 16 | (uint32_t)f->msg[2] << 8 | f->msg[3];

	switch (f->msg[0]) {
	case MSG_KEY_UPDATE:
		if (len != KEY_UPDATE_LEN)
			return fail(f, reply, TLS_ALERT_DECODE_ERROR, "bad key update");
		return 0;
	case MSG_NEW_SESSION_TICKET:
		if (f->server)
			break;
		if (len > TICKET_MAX)
			return fail(f, reply, TLS_ALERT_DECODE_ERROR, "bad session ticket");
		f->msg_skip = len;
		f->msg_have = 0;
		return 0;
	default:
		break;
	}
	return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE, "unexpected handshake message");
}

static int on_handshake(struct tls_fast *f, struct span s, struct bufq *reply)
{
	while (s.n > 0) {
		int err = 0;

		if (f->msg_skip > 0) {
			size_t n = s.n < f->msg_skip ? s.n : f->msg_skip;

			f->msg_skip -= (uint32_t)n;
			s = span_of(s.p + n, s.n - n);
			continue;
		}
		f->msg[f->msg_have++] = *s.p;
		s = span_of(s.p + 1, s.n - 1);
		if (f->msg_have == MSG_HEADER_LEN) {
			err = on_msg_header(f, reply);
		} else if (f->msg_have > MSG_HEADER_LEN) {
			f->msg_have = 0;
			err = on_key_update(f, f->msg[MSG_HEADER_LEN], s.n == 0, reply);
		}
		if (err)
			return err;
	}
	return 0;
}

static int on_alert(struct tls_fast *f, struct span s, struct bufq *reply)
{
	if (s.n != 2)
		return fail(f, reply, TLS_ALERT_DECODE_ERROR, "bad alert");
	if (s.p[1] == TLS_ALERT_CLOSE_NOTIFY) {
		f->eof = true;
		return 0;
	}
	if (s.p[1] == TLS_ALERT_USER_CANCELED) /* a close_notify follows, section 6.1 */
		return 0;
	f->finished = true;
	f->e.why = tls_alert_text(s.p[1]);
	return -ERR_TLS;
}

static int on_record(struct tls_fast *f, uint8_t type, struct bufq *body, struct bufq *to,
		     struct bufq *reply)
{
	bool midway = f->msg_have > 0 || f->msg_skip > 0;
	struct span s;

	if (type != TLS_TYPE_HANDSHAKE && midway)
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE,
			    "a handshake message is interrupted");
	if (type != TLS_TYPE_DATA && bufq_empty(body))
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE, "an empty record");
	if (type == TLS_TYPE_DATA && !bufq_empty(body)) {
		f->idle = 0;
		bufq_move(to, body, body->len);
		return 0;
	}
	if (++f->idle > IDLE_RECORDS_MAX)
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE,
			    "too many records without data");
	if (type == TLS_TYPE_DATA)
		return 0;
	s = bufq_pullup(body, body->len);
	if (s.n == 0)
		return no_memory(f);
	switch (type) {
	case TLS_TYPE_ALERT:
		return on_alert(f, s, reply);
	case TLS_TYPE_HANDSHAKE:
		return on_handshake(f, s, reply);
	default:
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE, "unknown kind of record");
	}
}

static int open_failed(struct tls_fast *f, ssize_t err, struct bufq *reply)
{
	switch (err) {
	case -ERR_AUTH:
		return fail(f, reply, TLS_ALERT_BAD_RECORD_MAC, "a record fails authentication");
	case -ERR_LIMIT:
		return fail(f, reply, TLS_ALERT_RECORD_OVERFLOW, "a record is too long");
	case -ERR_MALFORMED:
		return fail(f, reply, TLS_ALERT_UNEXPECTED_MESSAGE, "a record is not protected");
	default:
		return no_memory(f);
	}
}

static ssize_t fast_open(struct tls_engine *e, struct bufq *in, struct bufq *to,
			 struct bufq *reply)
{
	struct tls_fast *f = of(e);
	struct bufq body = {NULL, NULL, 0};
	uint8_t type;
	ssize_t n;
	int err;

	if (f->eof)
		return -ERR_EOF;
	n = tls_record_open(&f->rd, in, &body, &type);
	if (n == 0)
		return 0;
	err = n < 0 ? open_failed(f, n, reply) : on_record(f, type, &body, to, reply);
	bufq_clear(&body);
	if (err)
		return err;
	return f->eof ? -ERR_EOF : n;
}

static ssize_t fast_seal(struct tls_engine *e, struct bufq *from, struct bufq *out)
{
	struct tls_fast *f = of(e);

	if (f->finished) {
		e->why = "written after the end";
		return -ERR_CLOSED;
	}
	if (f->owes_update || f->wr.seq >= f->key_records)
		if (update_write(f, out) != 0)
			return no_memory(f);
	if (bufq_empty(from))
		return 0;
	return tls_record_seal(&f->wr, TLS_TYPE_DATA, from, out);
}

static void fast_finish(struct tls_engine *e, struct bufq *out)
{
	static const uint8_t msg[2] = {TLS_ALERT_WARNING, TLS_ALERT_CLOSE_NOTIFY};
	struct tls_fast *f = of(e);

	if (f->finished)
		return;
	f->finished = true;
	seal_bytes(f, TLS_TYPE_ALERT, span_of(msg, sizeof(msg)), out);
}

static void fast_free(struct tls_engine *e)
{
	struct tls_fast *f = of(e);

	tls_dir_fini(&f->rd);
	tls_dir_fini(&f->wr);
	free(f);
}

static const struct tls_engine_ops fast_ops = {
	.name = "tls-fast",
	.open = fast_open,
	.seal = fast_seal,
	.finish = fast_finish,
	.free = fast_free,
};

struct tls_engine *tls_fast_new(uint16_t suite, bool server, const struct tls_secret *read,
				const struct tls_secret *write, int *err)
{
	struct tls_fast *f = calloc(1, sizeof(*f));

	*err = -ERR_NOMEM;
	if (!f)
		return NULL;
	f->e.ops = &fast_ops;
	f->e.version = 0x0304;
	f->server = server;
	f->key_records = RECORDS_PER_KEY;
	*err = tls_dir_init(&f->rd, suite, read, false);
	if (*err == 0)
		*err = tls_dir_init(&f->wr, suite, write, true);
	if (*err) {
		fast_free(&f->e);
		return NULL;
	}
	return &f->e;
}

int tls_fast_pad(struct tls_engine *e, size_t total, struct bufq *out)
{
	return tls_record_seal_empty(&of(e)->wr, TLS_TYPE_DATA, total, out);
}

void tls_fast_refuse(struct tls_engine *e, uint8_t alert, struct bufq *out)
{
	fail(of(e), out, (enum tls_alert)alert, "refused");
}

void tls_fast_limit_key(struct tls_engine *e, uint32_t records)
{
	of(e)->key_records = records;
}

void tls_fast_limit_record(struct tls_engine *e, unsigned bytes)
{
	of(e)->wr.plain_max = (uint16_t)bytes;
}
