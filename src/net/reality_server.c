#include "net/reality_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/mldsa65.h"
#include "crypto/secret.h"
#include "net/reality_int.h"
#include "net/tls_cert.h"
#include "net/tls_keylog.h"

enum { LOG_BURST = 5, LOG_EVERY_S = 60, LINE_MAX_ = 400 };

void reality_server_log(enum log_level level, struct log_rate *rate, uint64_t now_ms,
			const struct ipport *who, const char *fmt, ...)
{
	char source[ADDR_TEXT_MAX], line[LINE_MAX_];
	uint32_t muted;
	va_list ap;

	if (!log_on(level) || !log_rate_pass(rate, now_ms, LOG_BURST, LOG_EVERY_S, &muted))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_line(level, 0, "reality", "%s: %s", ipport_text(who, source, sizeof(source)), line);
	if (muted)
		log_line(level, 0, "reality", "%u more such lines were left out", muted);
}

_Static_assert((int)TLS_WHY_MAX <= (int)TRANSPORT_WHY_MAX, "room for either's words");

/* 0 or -ERR_*. */
static int make_signer(struct reality_server *rs)
{
	int err = ed25519_keypair(rs->signer.seed, rs->signer.pub);

	if (err || !rs->conf->mldsa_seed)
		return err;
	rs->mldsa = malloc(sizeof(*rs->mldsa));
	if (!rs->mldsa)
		return -ERR_NOMEM;
	mldsa65_key_set(rs->mldsa, rs->conf->mldsa_seed);
	rs->signer.mldsa = rs->mldsa;
	return 0;
}

struct reality_server *reality_server_new(const struct conf_reality_server *c, char *why)
{
	struct reality_server *rs = calloc(1, sizeof(*rs));

	if (!rs) {
		snprintf(why, TRANSPORT_WHY_MAX, "out of memory");
		return NULL;
	}
	rs->conf = c;
	if (tls_keylog_open(&rs->keylog_fd, c->master_key_log, why) != 0) {
		free(rs);
		return NULL;
	}
	rs->rules = (struct reality_rules){.keys = c->keys,
					   .n_keys = c->n_keys,
					   .names = c->names.v,
					   .n_names = c->names.n,
					   .short_ids = c->short_ids,
					   .n_short_ids = c->n_short_ids,
					   .min_version = c->min_version,
					   .max_version = c->max_version,
					   .max_diff_ms = c->max_diff_ms};
	rs->probes = reality_probes_new(c);
	if (!rs->probes || make_signer(rs) != 0) {
		snprintf(why, TRANSPORT_WHY_MAX, "out of memory, or of random numbers");
		reality_server_free(rs);
		return NULL;
	}
	return rs;
}

void reality_server_renew(struct reality_server *rs, const struct conf_reality_server *c)
{
	rs->rules.short_ids = c->short_ids;
	rs->rules.n_short_ids = c->n_short_ids;
}

void reality_server_free(struct reality_server *rs)
{
	if (!rs)
		return;
	reality_probes_free(rs->probes);
	secret_wipe(&rs->signer, sizeof(rs->signer));
	if (rs->mldsa)
		mldsa65_key_wipe(rs->mldsa);
	free(rs->mldsa);
	if (rs->keylog_fd != -1)
		close(rs->keylog_fd);
	free(rs);
}

void reality_server_watch(struct reality_server *rs, struct loop *l, struct resolver *r)
{
	reality_probes_start(rs->probes, l, r);
}

void reality_server_unwatch(struct reality_server *rs)
{
	reality_probes_stop(rs->probes);
}
