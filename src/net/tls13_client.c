/*
 * Records and states of the handshake. Handshake bytes of records are put
 * together in c->messages; each whole message goes to one function by state.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "net/tls13_int.h"
#include "net/tls13_peer.h"
#include "net/tls_keylog.h"
#include "net/tls_verify.h"

enum {
	RECORD_LEGACY = 0x0301, /* of the first record, section 5.1 */
	RECORD_VERSION = 0x0303,
	/* Records in a row that complete no message: more is a peer that keeps us busy. */
	IDLE_RECORDS_MAX = 64,
	MESSAGE_MAX = TLS13_CERTIFICATE_MAX, /* body; the certificates are the longest */
	EXT_ALPS = 0x44cd,
	EXT_RECORD_SIZE_LIMIT = 28,
	RECORD_LIMIT_MIN = 64, /* RFC 8449 */
};

int tls13_fail(struct tls13_client *c, enum tls_alert alert, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	c->alert = alert;
	return -ERR_TLS;
}

int tls13_no_memory(struct tls13_client *c)
{
	tls13_fail(c, TLS_ALERT_INTERNAL_ERROR, "out of memory");
	return -ERR_NOMEM;
}

struct tls13_client *tls13_client_new(struct tls_ctx *x, const char *dialled, int *err)
{
	struct tls13_client *c = calloc(1, sizeof(*c));
	struct ip ip;

	*err = -ERR_NOMEM;
	if (!c)
		return NULL;
	*err = 0;
	c->ctx = tls_ctx_ref(x);
	c->record_limit = TLS_PLAIN_MAX;
	tls_plain_name(c->name, *x->conf->server_name ? x->conf->server_name
				: dialled	      ? dialled
						      : "");
	c->named = *c->name && ip_parse(&ip, span_str(c->name)) != 0;
	return c;
}

void tls13_client_free(struct tls13_client *c)
{
	if (!c)
		return;
	while (c->n_kex > 0)
		kex_free(c->kex[--c->n_kex]);
	buf_free(c->server_hello);
	tls13_transcript_fini(&c->transcript);
	tls_dir_fini(&c->rd);
	tls_dir_fini(&c->wr);
	bufq_clear(&c->messages);
	EVP_PKEY_free(c->key);
	tls_ctx_unref(c->ctx);
	secret_wipe(c, sizeof(*c));
	free(c);
}

/* ---- what is sent ---- */

/* One record, protected once there are keys. */
static int put_record(struct tls13_client *c, uint8_t type, uint16_t version, struct span s,
		      struct bufq *out)
{
	uint8_t header[TLS_HEADER_LEN];
	struct wr w = wr_of(header, sizeof(header));
	struct bufq q = {NULL, NULL, 0};
	struct buf *b;
	ssize_t n;

	if (!c->protected || type == TLS_TYPE_CCS) {
		wr_u8(&w, type);
		wr_u16(&w, version);
		wr_u16(&w, (unsigned)s.n);
		if (bufq_append(out, span_of(header, w.n)) != 0 || bufq_append(out, s) != 0)
			return tls13_no_memory(c);
		return 0;
	}
	b = buf_copy(s);
	if (!b)
		return tls13_no_memory(c);
	bufq_push(&q, b);
	n = tls_record_seal(&c->wr, type, &q, out);
	bufq_clear(&q);
	return n < 0 ? tls13_no_memory(c) : 0;
}

/* For the sake of boxes on the way, as browsers do (appendix D.4). */
static int put_ccs(struct tls13_client *c, struct bufq *out)
{
	static const uint8_t one = 1;

	return put_record(c, TLS_TYPE_CCS, RECORD_VERSION, span_of(&one, 1), out);
}

static int put_hello(struct tls13_client *c, struct bufq *out)
{
	int err = c->retried ? put_ccs(c, out) : 0;

	return err ? err
		   : put_record(c, TLS_TYPE_HANDSHAKE,
				c->retried ? (uint16_t)RECORD_VERSION : (uint16_t)RECORD_LEGACY,
				span_of(c->hello, c->hello_n), out);
}

static void put_alert(struct tls13_client *c, struct bufq *out)
{
	const uint8_t msg[2] = {TLS_ALERT_FATAL, (uint8_t)c->alert};
	char why[TLS_WHY_MAX];

	if (!c->alert || c->finished_sent)
		return;
	memcpy(why, c->why, sizeof(why)); /* sending may fail too, which is of less interest */
	put_record(c, TLS_TYPE_ALERT, RECORD_VERSION, span_of(msg, sizeof(msg)), out);
	memcpy(c->why, why, sizeof(why));
}

/* A message of ours after the server's Finished: into the transcript and a record. */
static int put_message(struct tls13_client *c, struct span message, struct bufq *out)
{
	if (tls13_transcript_add(&c->transcript, message) != 0)
		return tls13_no_memory(c);
	return put_record(c, TLS_TYPE_HANDSHAKE, RECORD_VERSION, message, out);
}

/* Section 4.4; application settings as draft-vvv-tls-alps has them, without contents. */
static int put_finish(struct tls13_client *c, struct bufq *out)
{
	static const uint8_t settings[] = {
		TLS_MSG_ENCRYPTED_EXTENSIONS, 0, 0, 6, 0, 4, 0x44, 0xcd, 0, 0};
	static const uint8_t nobody[] = {TLS_MSG_CERTIFICATE, 0, 0, 4, 0, 0, 0, 0};
	size_t n = sha_len(c->suite->hash);
	uint8_t msg[TLS_MSG_HEADER_LEN + SHA_LEN_MAX] = {TLS_MSG_FINISHED, 0, 0, (uint8_t)n};
	uint8_t th[SHA_LEN_MAX];
	int err = put_ccs(c, out);

	if (err == 0 && c->alps)
		err = put_message(c, span_of(settings, sizeof(settings)), out);
	if (err == 0 && c->asked)
		err = put_message(c, span_of(nobody, sizeof(nobody)), out);
	if (err)
		return err;
	if (tls13_transcript_hash(&c->transcript, th) != 0 ||
	    tls13_finished(c->suite->hash, msg + TLS_MSG_HEADER_LEN, &c->client, th) != 0)
		return tls13_no_memory(c);
	return put_record(c, TLS_TYPE_HANDSHAKE, RECORD_VERSION,
			  span_of(msg, TLS_MSG_HEADER_LEN + n), out);
}

/* ---- what is received ---- */

static bool offered_alpn(const struct tls13_client *c, struct span name)
{
	struct rd r = rd_of(span_of(c->ctx->alpn, c->ctx->alpn_len));

	while (c->ctx->hello_alpn && r.n > 0 && !r.bad)
		if (span_eq(rd_take(&r, rd_u8(&r)), name))
			return true;
	return false;
}

static int on_alpn(struct tls13_client *c, struct span body)
{
	struct rd r = rd_of(body), list = rd_of(rd_take(&r, rd_u16(&r)));
	struct span name = rd_take(&list, rd_u8(&list));

	if (r.bad || r.n || list.bad || list.n || name.n == 0 || !offered_alpn(c, name))
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server chose a protocol (ALPN) that was not offered");
	memcpy(c->alpn, name.p, name.n);
	c->alpn[name.n] = 0;
	return 0;
}

static int on_record_limit(struct tls13_client *c, struct span body)
{
	struct rd r = rd_of(body);
	unsigned limit = rd_u16(&r);

	if (r.bad || r.n || limit < RECORD_LIMIT_MIN)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER, "a bad record size limit");
	if (limit - 1 < c->record_limit) /* it counts the inner type */
		c->record_limit = limit - 1;
	return 0;
}

static int on_extensions(struct tls13_client *c, struct span message)
{
	struct rd r = rd_of(message), list;
	struct tlshello_client ours;
	struct span body, own;
	uint16_t type;
	int err = 0;

	rd_take(&r, TLS_MSG_HEADER_LEN);
	list = rd_of(rd_take(&r, rd_u16(&r)));
	if (r.bad || r.n || tlshello_client_decode(&ours, span_of(c->hello, c->hello_n)) <= 0)
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "malformed encrypted extensions");
	while (err == 0 && tlshello_extension_next(&list, &type, &body)) {
		if (!tlshello_extension(ours.extensions, type, &own))
			return tls13_fail(c, TLS_ALERT_UNSUPPORTED_EXTENSION,
					  "the server answers an extension that was not sent");
		if (type == TLS_EXT_ALPN)
			err = on_alpn(c, body);
		else if (type == EXT_RECORD_SIZE_LIMIT)
			err = on_record_limit(c, body);
		else if (type == EXT_ALPS)
			c->alps = true;
	}
	if (err == 0 && list.bad)
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "malformed encrypted extensions");
	return err;
}

/* The last message of the server: checks it, sends ours, goes over to the application's keys. */
static int on_finished(struct tls13_client *c, struct span message, struct bufq *out)
{
	uint8_t th[SHA_LEN_MAX], want[SHA_LEN_MAX];
	size_t n = sha_len(c->suite->hash);
	struct tls_secret client, server;
	int err;

	if (tls13_transcript_hash(&c->transcript, th) != 0 ||
	    tls13_finished(c->suite->hash, want, &c->server, th) != 0)
		return tls13_no_memory(c);
	if (message.n != TLS_MSG_HEADER_LEN + n ||
	    !secret_eq(message.p + TLS_MSG_HEADER_LEN, want, n))
		return tls13_fail(c, TLS_ALERT_DECRYPT_ERROR, "the server's Finished is wrong");
	if (tls13_transcript_add(&c->transcript, message) != 0 ||
	    tls13_transcript_hash(&c->transcript, th) != 0 ||
	    tls13_schedule_master(&c->schedule, th, &client, &server) != 0)
		return tls13_no_memory(c);
	err = put_finish(c, out);
	if (err == 0) {
		tls_keylog_put(c->ctx->keylog_fd, "CLIENT_TRAFFIC_SECRET_0", c->random, &client);
		tls_keylog_put(c->ctx->keylog_fd, "SERVER_TRAFFIC_SECRET_0", c->random, &server);
		c->client = client;
		c->server = server;
		c->finished_sent = true;
		c->state = TLS13_DONE;
	}
	secret_wipe(&client, sizeof(client));
	secret_wipe(&server, sizeof(server));
	return err;
}

/* What may come in which state; the message has been checked to be one of these. */
static int on_message(struct tls13_client *c, uint8_t type, struct span message, struct bufq *out)
{
	int err = 0;

	switch (c->state) {
	case TLS13_HELLO: /* takes care of the transcript itself: its hash is known only now */
		err = tls13_hello_answer(c, message);
		if (err == 0)
			return put_hello(c, out);
		if (err == 1)
			c->state = TLS13_EXTENSIONS;
		return err < 0 ? err : 0;
	case TLS13_EXTENSIONS:
		err = on_extensions(c, message);
		c->state = TLS13_CERTIFICATE;
		break;
	case TLS13_CERTIFICATE:
		if (type == TLS_MSG_CERTIFICATE_REQUEST) {
			c->asked = true;
			break;
		}
		err = tls13_auth_certificate(c, message, type == TLS_MSG_COMPRESSED_CERTIFICATE);
		c->state = TLS13_VERIFY;
		break;
	case TLS13_VERIFY:
		err = tls13_auth_verify(c, message);
		c->state = TLS13_FINISHED;
		break;
	default:
		return on_finished(c, message, out);
	}
	if (err == 0 && tls13_transcript_add(&c->transcript, message) != 0)
		err = tls13_no_memory(c);
	return err;
}

static bool expected(const struct tls13_client *c, uint8_t type)
{
	switch (c->state) {
	case TLS13_HELLO:
		return type == TLS_MSG_SERVER_HELLO;
	case TLS13_EXTENSIONS:
		return type == TLS_MSG_ENCRYPTED_EXTENSIONS;
	case TLS13_CERTIFICATE:
		return type == TLS_MSG_CERTIFICATE || type == TLS_MSG_COMPRESSED_CERTIFICATE ||
		       (type == TLS_MSG_CERTIFICATE_REQUEST && !c->asked);
	case TLS13_VERIFY:
		return type == TLS_MSG_CERTIFICATE_VERIFY;
	case TLS13_FINISHED:
		return type == TLS_MSG_FINISHED;
	default:
		return false;
	}
}

/* One whole message off c->messages. 1 when there was one, 0 when not, or -ERR_*. */
static int take_message(struct tls13_client *c, struct bufq *out)
{
	bool before = c->protected;
	uint8_t head[TLS_MSG_HEADER_LEN];
	struct rd r = rd_of(span_of(head, bufq_peek(&c->messages, head, sizeof(head))));
	uint8_t type = rd_u8(&r);
	size_t len = rd_u24(&r);
	struct span s;
	int err;

	if (c->messages.len > 0 && !expected(c, type))
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE,
				  "unexpected handshake message (%u)", type);
	if (r.bad)
		return 0;
	if (len > MESSAGE_MAX - TLS_MSG_HEADER_LEN)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "a handshake message is too long");
	if (c->messages.len < TLS_MSG_HEADER_LEN + len)
		return 0;
	s = bufq_pullup(&c->messages, TLS_MSG_HEADER_LEN + len);
	if (s.n == 0)
		return tls13_no_memory(c);
	c->idle = 0;
	err = on_message(c, type, span_of(s.p, TLS_MSG_HEADER_LEN + len), out);
	if (err)
		return err;
	bufq_drop(&c->messages, TLS_MSG_HEADER_LEN + len);
	/* Section 5.1: keys change between records only. */
	if ((c->protected != before || c->state == TLS13_DONE) && !bufq_empty(&c->messages))
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE,
				  "data behind the end of a handshake's part");
	return 1;
}

static int on_alert(struct tls13_client *c, struct bufq *body)
{
	uint8_t msg[2];

	if (body->len != sizeof(msg) || bufq_peek(body, msg, sizeof(msg)) != sizeof(msg))
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "a malformed alert");
	return tls13_fail(c, 0, "%s", tls_alert_text(msg[1]));
}

/* The content of a record, taken out of it. */
static int on_content(struct tls13_client *c, uint8_t type, struct bufq *body)
{
	if (type == TLS_TYPE_ALERT)
		return on_alert(c, body);
	if (type != TLS_TYPE_HANDSHAKE || bufq_empty(body))
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE,
				  "a record that has no place in a handshake");
	bufq_move_packed(&c->messages, body, body->len);
	return bufq_empty(body) ? 0 : tls13_no_memory(c);
}

static int open_failed(struct tls13_client *c, ssize_t err)
{
	switch (err) {
	case -ERR_AUTH:
		return tls13_fail(c, TLS_ALERT_BAD_RECORD_MAC, "a record fails authentication");
	case -ERR_LIMIT:
		return tls13_fail(c, TLS_ALERT_RECORD_OVERFLOW, "a record is too long");
	case -ERR_MALFORMED:
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE, "a record is not protected");
	default:
		return tls13_no_memory(c);
	}
}

static int on_plain(struct tls13_client *c, const struct tls_header *h, struct bufq *in)
{
	struct bufq body = {NULL, NULL, 0};
	uint8_t one = 0;
	int err = 0;

	bufq_drop(in, TLS_HEADER_LEN);
	if (h->type == TLS_TYPE_CCS) { /* means nothing, section 5 */
		bufq_peek(in, &one, 1);
		bufq_drop(in, h->len);
		return h->len == 1 && one == 1
			       ? 0
			       : tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE, "a malformed record");
	}
	if (h->len > TLS_PLAIN_MAX)
		return tls13_fail(c, TLS_ALERT_RECORD_OVERFLOW, "a record is too long");
	if (bufq_move(&body, in, h->len) != h->len)
		err = tls13_no_memory(c);
	else if (c->protected && h->type != TLS_TYPE_ALERT)
		err = tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE, "a record is not protected");
	else
		err = on_content(c, h->type, &body);
	bufq_clear(&body);
	return err;
}

static int on_protected(struct tls13_client *c, struct bufq *in)
{
	struct bufq body = {NULL, NULL, 0};
	uint8_t type;
	ssize_t n = tls_record_open(&c->rd, in, &body, &type);
	int err = n < 0 ? open_failed(c, n) : on_content(c, type, &body);

	bufq_clear(&body);
	return err;
}

/* One record off @in. 1 when there was one, 0 when it is not complete, or -ERR_*. */
static int take_record(struct tls13_client *c, struct bufq *in)
{
	uint8_t raw[TLS_HEADER_LEN];
	struct tls_header h;
	ssize_t n = tls_record_ready(in);
	int err;

	if (n == 0)
		return 0;
	if (n < 0)
		return tls13_fail(c, c->protected ? TLS_ALERT_UNEXPECTED_MESSAGE : 0,
				  "the peer does not speak TLS");
	if (++c->idle > IDLE_RECORDS_MAX)
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE, "too many records for nothing");
	bufq_peek(in, raw, sizeof(raw));
	if (tls_header_decode(&h, span_of(raw, sizeof(raw))) <= 0)
		return tls13_no_memory(c);
	err = h.type == TLS_TYPE_DATA && c->protected ? on_protected(c, in) : on_plain(c, &h, in);
	return err ? err : 1;
}

static int run(struct tls13_client *c, struct bufq *in, struct bufq *out)
{
	int n = 0;

	if (c->state == TLS13_START) {
		n = tls13_hello_first(c);
		if (n == 0)
			n = put_hello(c, out);
		c->state = TLS13_HELLO;
	}
	while (n >= 0 && c->state != TLS13_DONE) {
		n = take_message(c, out);
		if (n == 0)
			n = take_record(c, in);
		if (n == 0)
			return 0;
	}
	return n < 0 ? n : 1;
}

int tls13_client_step(struct tls13_client *c, struct bufq *in, struct bufq *out)
{
	int n = run(c, in, out);

	if (n < 0) {
		c->state = TLS13_FAILED;
		put_alert(c, out);
	}
	return n;
}

const char *tls13_client_why(const struct tls13_client *c)
{
	return c->why;
}

struct tls_engine *tls13_client_engine(const struct tls13_client *c, int *err)
{
	struct tls_engine *e = tls_fast_new(c->suite->id, false, &c->server, &c->client, err);

	if (e)
		tls_fast_limit_record(e, c->record_limit);
	return e;
}

const char *tls13_client_alpn(const struct tls13_client *c)
{
	return c->alpn;
}

const char *tls13_client_name(const struct tls13_client *c)
{
	return c->name;
}

const char *tls13_client_cipher(const struct tls13_client *c)
{
	switch (c->suite->id) {
	case TLS_AES_128_GCM:
		return "TLS_AES_128_GCM_SHA256";
	case TLS_AES_256_GCM:
		return "TLS_AES_256_GCM_SHA384";
	default:
		return "TLS_CHACHA20_POLY1305_SHA256";
	}
}

bool tls13_client_trusted(const struct tls13_client *c)
{
	return !c->real;
}
