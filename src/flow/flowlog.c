#include "flow/flowlog.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/routing.h"
#include "flow/outbound.h"
#include "flow/target.h"

enum { FROM_TEXT = 64, STORY_TEXT = 768 };

/* Hides the bits of an address that log.maskAddress asks to hide. */
static char *masked_ip(const struct ip *ip, char *out, size_t cap)
{
	struct log_mask m = log_mask();
	struct ip shown = *ip;
	unsigned bits = ip->family == 4 ? m.v4_bits : m.v6_bits;
	unsigned all = ip->family == 4 ? 32 : 128;

	for (unsigned i = bits; i < all; i++)
		shown.b[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
	return bits == 0 ? (snprintf(out, cap, "[masked]"), out) : ip_text(&shown, out, cap);
}

static char *masked_source(const struct ipport *a, char *out, size_t cap)
{
	char host[46];

	if (a->ip.family == 0)
		snprintf(out, cap, "%s", "");
	else
		snprintf(out, cap, a->ip.family == 4 ? "%s:%u" : "[%s]:%u",
			 masked_ip(&a->ip, host, sizeof(host)), a->port);
	return out;
}

static char *masked_target(const struct addr *a, char *out, size_t cap)
{
	struct ipport ipp;

	if (!addr_to_ipport(a, &ipp))
		return addr_text(a, out, cap);
	return masked_source(&ipp, out, cap);
}

static const char *net_name(const struct flow *f)
{
	return f->net == CONF_TCP ? "tcp" : "udp";
}

void flowlog_accepted(const struct flow *f)
{
	char from[FROM_TEXT], to[ADDR_TEXT_MAX];

	if (!log_access_on())
		return;
	log_access("from %s accepted %s:%s [%s %s %s]%s%s",
		   masked_source(&f->source, from, sizeof(from)), net_name(f),
		   masked_target(target_asked(f), to, sizeof(to)), f->in_tag, f->rule ? "->" : ">>",
		   f->out->tag, *f->user ? " email: " : "", f->user);
}

void flowlog_rejected(const struct flow *f, const char *why)
{
	char from[FROM_TEXT], to[ADDR_TEXT_MAX];

	if (!log_access_on())
		return;
	log_access("from %s rejected %s:%s [%s] %s", masked_source(&f->source, from, sizeof(from)),
		   net_name(f), masked_target(target_asked(f), to, sizeof(to)), f->in_tag, why);
}

/* "1.2.3.4:5 user x -> tcp:host:80, rule 3 name (file:12), way in -> out" */
static char *story(const struct flow *f, char out[STORY_TEXT])
{
	char from[FROM_TEXT], to[ADDR_TEXT_MAX], rule[176];

	if (f->rule)
		snprintf(rule, sizeof(rule), "rule %zu%s%.60s (%.60s:%d)", f->rule->number,
			 *f->rule->rule_tag ? " " : "", f->rule->rule_tag, f->rule->at.file,
			 f->rule->at.line);
	else
		snprintf(rule, sizeof(rule), "default route");
	snprintf(out, STORY_TEXT, "%s%s%.64s -> %s:%s, %s, way %.64s -> %.64s",
		 masked_source(&f->source, from, sizeof(from)), *f->user ? " user " : "", f->user,
		 net_name(f), masked_target(target_asked(f), to, sizeof(to)), rule,
		 *f->in_tag ? f->in_tag : "-", f->out && *f->out->tag ? f->out->tag : "-");
	return out;
}

void flowlog_blocked(const struct flow *f)
{
	char text[STORY_TEXT];

	if (log_on(LOG_INFO))
		log_line(LOG_INFO, f->id, "flow", "blocked %s", story(f, text));
}

void flowlog_end(const struct flow *f, int err, bool in_side, const char *why)
{
	char text[STORY_TEXT];

	if (!log_on(LOG_INFO))
		return;
	log_line(LOG_INFO, f->id, "flow", "end %s, up %llu down %llu bytes, %llu ms, %s%s%s%s",
		 story(f, text), (unsigned long long)f->up, (unsigned long long)f->down,
		 (unsigned long long)(loop_now(f->loop) - f->started_ms),
		 err ? (in_side ? "client side: " : "far side: ") : "", err ? err_name(err) : "done",
		 why ? ": " : "", why ? why : "");
}
