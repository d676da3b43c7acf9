/*
 * True pings from inside the program, by the rules and outbounds that a ping of a
 * user would take: what comes back is what the host, or a router on the far
 * side, really sent.
 *
 *   asked   {"to": "10.0.0.1", "count": 1..10, "in": inbound's tag}; all but "to" optional
 *   result  {to, sent, answers [{seq, ms} or {seq, ms, error, from}], error}
 */
#ifndef GARENNE_APP_PINGER_H
#define GARENNE_APP_PINGER_H

#include <cjson/cJSON.h>

#include "flow/core.h"

struct pinger_user {
	/* Once, from the first worker; takes @result. */
	void (*on_pinged)(struct pinger_user *u, cJSON *result);
};

/** On the first worker. NULL, or what is wrong with @asked (then nothing comes). */
const char *pinger_start(struct core *c, const cJSON *asked, struct pinger_user *u);

#endif
