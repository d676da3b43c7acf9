/*
 * What is written in the lists of domain and IP conditions, taken apart. Pure:
 * no file is opened, a named list is only named.
 *
 *   IP      PREFIX | ADDRESS | geoip:CODE | ext:FILE:CODE | ext-ip:FILE:CODE, any
 *           of them after "!", which turns it round; geoip:!CODE too
 *   domain  TEXT | keyword:TEXT | domain:NAME | full:NAME | regexp:RE |
 *           dotless:TEXT | geosite:CODE[@ATTR...] | ext:FILE:CODE[@ATTR...],
 *           ext-domain: and ext-site: like ext:
 */
#ifndef GARENNE_ROUTE_RULETEXT_H
#define GARENNE_ROUTE_RULETEXT_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/span.h"
#include "route/domset.h"

/* Spans point into the text that was parsed, or are constants. */
struct iprule {
	bool inverse;
	bool listed; /* @file and @code count, else @prefix */
	struct prefix prefix;
	struct span file, code;
};

struct domrule {
	bool listed; /* @file, @code and @attrs count, else @kind and @text */
	enum domset_kind kind;
	struct span text;
	struct span file, code;
	struct span attrs; /* "a@b", no empty one; empty: every entry of the list */
};

/**
 * 0, or -ERR_MALFORMED with the reason in @why, in the words of Xray; @out is
 * then untouched.
 */
int iprule_parse(struct iprule *out, struct span text, char why[ROUTE_WHY_MAX]);
/** @plain is the kind of a text without prefix. */
int domrule_parse(struct domrule *out, struct span text, enum domset_kind plain,
		  char why[ROUTE_WHY_MAX]);

/** Cuts the first attribute off the front of @attrs; false when there is none left. */
bool domrule_next_attr(struct span *attrs, struct span *attr);

#endif
