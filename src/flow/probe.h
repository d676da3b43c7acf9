/*
 * One HTTP or HTTPS request that tells whether an outbound works and how fast:
 * a flow forced through the outbound, TLS on top of what it gives, the request,
 * the head of the answer. Nothing is read beyond it.
 *
 * The delay is that of the whole, from the first step to the first byte of the
 * answer, as Xray measures it: the way to an outbound's server is part of what
 * its users wait for, and settings like maxRTT are meant so. Success is a status
 * from 200 to 399; Xray takes any.
 */
#ifndef GARENNE_FLOW_PROBE_H
#define GARENNE_FLOW_PROBE_H

#include "conf/stream.h"
#include "flow/core.h"
#include "flow/outbound.h"

struct probe;
struct probe_target;

enum { PROBE_WHY_MAX = 256 };

/** What is asked, from a URL and a method; shared by all loops. @tls (NULL: verify by the system's
 * roots) is for tests and borrowed. Copies the texts. Gives, or NULL and the cause in
 * @why[PROBE_WHY_MAX]. */
struct probe_target *probe_target_new(const char *url, const char *method,
				      const struct conf_tls *tls, char *why);
/** No probe of it may be under way. Takes NULL too. */
void probe_target_free(struct probe_target *t);

struct probe_user {
	/* @err 0 and the delay in microseconds, or -ERR_* and words (valid during the call, never
	 * NULL). The probe is gone. */
	void (*on_probed)(struct probe_user *u, int err, uint32_t delay_us, const char *why);
};

/**
 * Starts on @l, which is the outbound's home if it has one. @o NULL: straight from
 * this host, without any outbound. Borrows all but nothing beyond the call back,
 * which comes once, from the loop, never from inside; not at all when the loop
 * ends first. Gives a handle for probe_cancel; NULL when memory is out.
 */
struct probe *probe_start(struct core *c, struct loop *l, const struct probe_target *t,
			  struct outbound *o, uint32_t timeout_ms, struct probe_user *user);
/** Gives up without calling back. On the probe's loop. */
void probe_cancel(struct probe *p);

#endif
