/*
 * A flow that is sent on its way to see what becomes of it: by the rules and
 * outbounds that everybody's flows take, with every step told.
 *
 *   asked   {"to": "10.0.0.1:22", "in": inbound's tag, "from": address}; all but "to" optional;
 *           without "in" it comes by the TUN if there is one, with "" by no inbound;
 *           without "from", by the TUN, from the device's own address
 *   result  {to, lines [...], ms, error ("" when the target answered)}
 */
#ifndef GARENNE_APP_TRACER_H
#define GARENNE_APP_TRACER_H

#include <cjson/cJSON.h>

#include "flow/core.h"

struct tracer_user {
	/* Once, from the first worker; takes @result. */
	void (*on_traced)(struct tracer_user *u, cJSON *result);
};

/** The tag that @asked wants to come in by; unless it says one, what a program of this machine would
 * come by: with a TUN that is the TUN, else none is as good as any other. NULL: there is no such. */
const char *tracer_in_tag(const struct core *c, const cJSON *asked);
/** On the first worker. NULL, or what is wrong with @asked (then nothing comes). */
const char *tracer_start(struct core *c, const cJSON *asked, struct tracer_user *u);

#endif
