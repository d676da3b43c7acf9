#include "flow/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/routing.h"
#include "flow/core.h"

void trace_say(struct flow *f, const char *fmt, ...)
{
	char text[TRACE_LINE + 1];
	int n;
	va_list ap;

	if (!trace_on(f))
		return;
	n = snprintf(text, sizeof(text), "%s: ", f->core->node);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	f->hook->line(f->hook, f->in, text);
}

void trace_pass(struct flow *f, struct span foreign)
{
	char text[TRACE_LINE + 1];
	size_t n = foreign.n < TRACE_LINE ? foreign.n : TRACE_LINE;

	if (!trace_on(f))
		return;
	for (size_t i = 0; i < n; i++) /* a terminal obeys control characters */
		text[i] = foreign.p[i] < 0x20 || foreign.p[i] == 0x7f ? '?' : (char)foreign.p[i];
	text[n] = 0;
	f->hook->line(f->hook, f->in, text);
}

void trace_route(struct flow *f)
{
	const struct conf_rule *r = f->rule;
	char to[ADDR_TEXT_MAX], rule[128] = "no rule matches: the default outbound";
	const char *file;

	if (!trace_on(f))
		return;
	if (r) {
		file = strrchr(r->at.file, '/');
		snprintf(rule, sizeof(rule), "rule %zu%s%.40s%s (%.40s:%d)", r->number,
			 *r->rule_tag ? " \"" : "", r->rule_tag, *r->rule_tag ? "\"" : "",
			 file ? file + 1 : r->at.file, r->at.line);
	}
	trace_say(f, "%s:%s%s%s -> [%s] (%s), %s", f->net == CONF_TCP ? "tcp" : "udp",
		  addr_text(&f->target, to, sizeof(to)), *f->in_tag ? " from inbound " : "",
		  f->in_tag, *f->out->tag ? f->out->tag : "-", f->out->ops->protocol, rule);
}
