/* What no section can see alone: contradictions, traps and dead ends of the whole. */
#ifndef GARENNE_CONF_CHECK_H
#define GARENNE_CONF_CHECK_H

#include "conf/jnode.h"

/** Names that must be unique or must exist: errors. May run on a result that has errors. */
void check_names(struct load *ld);
/** What cannot work although each part is right: errors. Needs a result without errors. */
void check_sense(struct load *ld);
/** What works otherwise than its author seems to think: warnings. Needs the same. */
void check_traps(struct load *ld);
/** The part of check_sense that concerns the TUN. */
void check_tun(struct load *ld);
/** The parts of check_sense and check_traps that concern one inbound's REALITY. */
void check_reality(struct load *ld, const struct conf_inbound *in);
void check_reality_traps(struct load *ld, const struct conf_inbound *in);
/** The part of check_traps that concerns bridges and portals. */
void check_reverse(struct load *ld);

/** A message at @at. */
void check_error(struct load *ld, const struct conf_at *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void check_warn(struct load *ld, const struct conf_at *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A set of names, in the arena: made with room for all, filled, sorted, then asked. */
struct check_set {
	const char **v;
	size_t n, cap;
};

/** False when memory is out. */
bool check_set_init(struct check_set *s, struct load *ld, size_t cap);
/** "" is not added; @name must outlive the set. */
void check_set_add(struct check_set *s, const char *name);
void check_set_sort(struct check_set *s);
/** Needs a sorted set. */
bool check_set_has(const struct check_set *s, const char *name);
/** "; did you mean \"x\"?" or "" into @out; returns @out. */
char *check_hint(const struct check_set *s, const char *name, char *out, size_t cap);

/* ---- what a rule does to one flow, as far as the files tell ---- */

enum verdict {
	VERDICT_NO = 0,
	VERDICT_MAYBE, /* depends on users, resolvers, lists or expressions */
	VERDICT_YES,
};

struct probe {
	const char *inbound;
	const char *domain; /* the target's name */
	bool bridge;	    /* a flow of a classic bridge: no source, no user, port 0 */
	enum conf_domain_strategy strategy;
};

enum verdict check_rule_verdict(const struct conf_rule *r, const struct probe *p);
/** True when every flow that @late matches is matched by @early too. */
bool check_rule_covers(const struct conf_rule *early, const struct conf_rule *late);
/** True when the rule has no condition but (perhaps) inbound tags and both networks. */
bool check_rule_takes_all(const struct conf_rule *r);

#endif
