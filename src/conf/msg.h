/* The list of errors and warnings while it grows. */
#ifndef GARENNE_CONF_MSG_H
#define GARENNE_CONF_MSG_H

#include <stdarg.h>

#include "conf/conf.h"

enum { MSG_TEXT_MAX = 640 };

/**
 * Adds a message; copies everything it is given. Errors beyond CONF_ERRORS_MAX
 * and warnings beyond ten times that are counted but not kept. A message that
 * cannot be stored still counts.
 */
void conf_msg_add(struct conf_msgs *m, enum conf_msg_level level, const struct conf_at *at,
		  int column, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void conf_msg_addv(struct conf_msgs *m, enum conf_msg_level level, const struct conf_at *at,
		   int column, const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

#endif
