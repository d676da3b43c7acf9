/*
 * A server's messages into a TLS 1.3 handshake of ours, protected as they must
 * be. First byte: bit 0 sends the bytes as they are instead of an honest server
 * hello, bit 1 REALITY, bit 2 Firefox's hello instead of Chrome's. Then pieces,
 * each u16 length (its top bits: the record's type) and bytes. No such server can
 * prove anything, so the handshake never succeeds, and nothing is left behind. The
 * key exchange is a fake: four of them would cost more than all the rest.
 */
#include <stdlib.h>

#include "../unit/tls13_mini.h"
#include "base/log.h"
#include "cheap_kex.h"
#include "net/tls13_client.h"
#include "net/tls_conn.h"
#include "proto/fingerprint.h"

static struct tls_ctx *ctx[2][2];

/* Only the cheap key: what the server says about the others does not depend on them. */
static void share_x25519(struct tls_ctx *x)
{
	for (size_t i = 0; i < x->fp->n_extensions; i++) {
		struct fingerprint_extension *e = &x->fp->extensions[i];

		if (e->kind != FINGERPRINT_SHARES)
			continue;
		e->list[0] = TLS_GROUP_X25519;
		e->n = 1;
	}
}

static void setup(void)
{
	static const char *const alpn[] = {"h2", "http/1.1"};
	static const char *const names[] = {"chrome", "firefox"};
	static struct conf_tls tls[2];
	static struct conf_reality_client reality[2];
	struct log_setup off = {.level = LOG_NONE, .access_off = true};
	char why[TLS_CTX_WHY_MAX];

	log_open(&off);
	for (int i = 0; i < 2; i++) {
		tls[i] = (struct conf_tls){.server_name = "name.test",
					   .alpn = {alpn, 2},
					   .fingerprint = names[i],
					   .disable_system_root = true};
		reality[i] = (struct conf_reality_client){.server_name = "name.test",
							  .fingerprint = names[i],
							  .key = {9},
							  .spider = {.path = "/"},
							  .master_key_log = ""};
		ctx[0][i] = tls_ctx_new_client(&tls[i], why);
		ctx[1][i] = tls_ctx_new_reality(&reality[i], why);
		mini_must(ctx[0][i] && ctx[1][i]);
		share_x25519(ctx[0][i]);
		share_x25519(ctx[1][i]);
	}
}

static void send_pieces(struct mini *m, struct span in, struct bufq *to)
{
	static const uint8_t types[] = {22, 22, 21, 23};
	struct rd r = rd_of(in);

	while (r.n > 0 && !r.bad) {
		uint16_t head = rd_u16(&r);
		size_t n = head & 0x3fff;
		struct span s = rd_take(&r, n < r.n ? n : r.n);

		tls13_transcript_add(&m->transcript, s);
		mini_record(m, types[head >> 14], s, to);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bufq in = {NULL, NULL, 0}, out = {NULL, NULL, 0};
	struct tls13_client *c;
	struct mini m;
	struct span s;
	int err;

	if (size < 1 || size > 20000)
		return 0;
	if (!ctx[0][0])
		setup();
	s = span_of(data + 1, size - 1);
	c = tls13_client_new(ctx[data[0] >> 1 & 1][data[0] >> 2 & 1], NULL, &err);
	mini_must(c && tls13_client_step(c, &in, &out) == 0);
	mini_hello(&m, &out, TLS_AES_128_GCM);
	if (data[0] & 1) {
		bufq_append(&in, s);
	} else {
		mini_plain(span_of(m.server_hello, m.server_n), &in);
		send_pieces(&m, s, &in);
	}
	err = tls13_client_step(c, &in, &out);
	mini_must(err <= 0);
	mini_must(err == 0 || *tls13_client_why(c));
	bufq_clear(&in);
	bufq_clear(&out);
	tls13_client_free(c);
	mini_free(&m);
	mini_must(buf_live() == 0);
	return 0;
}
