/* What the files of the REALITY server share: reality_server.c owns the settings, reality_accept.c
 * a connection. Private to net. */
#ifndef GARENNE_NET_REALITY_INT_H
#define GARENNE_NET_REALITY_INT_H

#include "base/log.h"
#include "net/reality_probe.h"
#include "net/reality_server.h"
#include "net/transport.h"
#include "proto/reality_answer.h"

/* Per loop: noise of the internet must not use up the lines of misconfigured clients. */
struct reality_log {
	struct log_rate noise, clients, target;
};

struct reality_server {
	const struct conf_reality_server *conf;
	struct reality_rules rules;
	struct reality_signer signer;
	struct mldsa65_key *mldsa; /* NULL without a seed */
	struct reality_probes *probes;
	int keylog_fd; /* tls_keylog.h */
	struct reality_log log[TRANSPORT_LOOPS_MAX];
};

/** A line about the connection of @who, rationed by @rate. */
void reality_server_log(enum log_level level, struct log_rate *rate, uint64_t now_ms,
			const struct ipport *who, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
