/*
 * What a target sends right after a handshake, of itself: session tickets, the
 * settings of HTTP/2. Clients of ours must get records of the same lengths, so
 * the target is asked at the start: once for every server name and for each of
 * three kinds of clients, as what it sends depends on the protocol agreed on. A
 * probe shakes hands like any visitor and listens for REALITY_PROBE_MS at most;
 * lengths count as soon as they are heard, and nobody waits for them. Probes that
 * fail are made again later.
 *
 * TLS stacks also differ in how many change_cipher_spec records they take before
 * they lose patience: another probe sends so many instead of its Finished as the
 * known limits are, and one more, until the target says no.
 *
 * The target's certificate is not looked at: only lengths matter. Private to net.
 */
#ifndef GARENNE_NET_REALITY_PROBE_H
#define GARENNE_NET_REALITY_PROBE_H

#include "conf/reality.h"
#include "net/loop.h"

struct reality_probes;
struct resolver;

enum {
	REALITY_PROBE_MS = 5000, /* as Xray */
	/* Who says nothing for so long has said all: what comes later is no part of the handshake
	 * but the target's impatience. */
	REALITY_PROBE_QUIET_MS = 1500,
	REALITY_PROBE_DELAY_MS = 100, /* before the first one */
	REALITY_PROBE_RETRY_MS = 300000,
	REALITY_PROBES_AT_ONCE = 4,
	REALITY_TAIL_MAX = 16, /* records; more are left out */
	REALITY_CCS_MS = 1000, /* in which a target refuses */
	REALITY_CCS_MAX = 32,  /* as long as the target's limit is not known */
};

/* What a client offers in ALPN, as far as targets are told apart by it. */
enum reality_alpn {
	REALITY_ALPN_NONE = 0,
	REALITY_ALPN_OTHER, /* something, but not h2 first */
	REALITY_ALPN_H2,
	REALITY_ALPNS,
};

/* Total lengths of records, in their order. */
struct reality_tail {
	uint16_t len[REALITY_TAIL_MAX];
	unsigned n;
};

/** Borrows @c. Gives, or NULL when memory is out or libssl will not work. */
struct reality_probes *reality_probes_new(const struct conf_reality_server *c);
/** Must not run. Takes NULL too. */
void reality_probes_free(struct reality_probes *p);
/** Starts probing on @l; @r resolves the target's name, borrowed until stop, in the same thread. */
void reality_probes_start(struct reality_probes *p, struct loop *l, struct resolver *r);
/** Harmless when it does not run. */
void reality_probes_stop(struct reality_probes *p);
/** What is known by now for the server name with this index; from any thread. */
struct reality_tail reality_probes_tail(struct reality_probes *p, size_t name,
					enum reality_alpn alpn);
/** How many change_cipher_spec records the target takes for that server name; UINT_MAX when it
 * does not count them. From any thread. */
unsigned reality_probes_ccs(struct reality_probes *p, size_t name);

#endif
