/*
 * Messages of compiling: whoever compiles rules says where complaints go. The
 * folder itself neither logs nor prints.
 */
#ifndef GARENNE_ROUTE_REPORT_H
#define GARENNE_ROUTE_REPORT_H

#include <stddef.h>

#include "conf/value.h"

enum route_level {
	ROUTE_ERROR = 0, /* the configuration cannot be used */
	ROUTE_WARNING,
};

/* Room for the reason of a failure, where a function says why. */
enum { ROUTE_WHY_MAX = 512 };

struct route_report {
	/* Gets each message as it is found; may be NULL. Borrows @text for the call. */
	void (*msg)(void *ctx, enum route_level level, const struct conf_at *at, const char *text);
	void *ctx;
	const struct conf_at *at; /* what is being compiled; set by the compiling function */
	const char *key;	  /* the member of it, put before the text; NULL none */
	size_t errors, warnings;
};

void report_error(struct route_report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void report_warning(struct route_report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
