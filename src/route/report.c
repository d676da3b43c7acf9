#include "route/report.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

__attribute__((format(printf, 3, 0))) static void
say(struct route_report *r, enum route_level level, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];
	int n = 0;

	if (!r->msg)
		return;
	if (r->key)
		n = snprintf(text, sizeof(text), "%s: ", r->key);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	r->msg(r->ctx, level, r->at, text);
}

void report_error(struct route_report *r, const char *fmt, ...)
{
	va_list ap;

	r->errors++;
	va_start(ap, fmt);
	say(r, ROUTE_ERROR, fmt, ap);
	va_end(ap);
}

void report_warning(struct route_report *r, const char *fmt, ...)
{
	va_list ap;

	r->warnings++;
	va_start(ap, fmt);
	say(r, ROUTE_WARNING, fmt, ap);
	va_end(ap);
}
