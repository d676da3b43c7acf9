/* Which configuration files a command was given, loaded, and their messages printed. */
#ifndef GARENNE_APP_FILES_H
#define GARENNE_APP_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "route/report.h"

enum { FILES_MAX = 64 };

struct files {
	const char *name[FILES_MAX];
	size_t n;
	const char *confdir; /* NULL: none */
};

/** Adds a file; false when there are too many. */
bool files_add(struct files *f, const char *name);
/** Without any, what Xray looks for: config.json(c) here, then in $XRAY_LOCATION_CONFIG; else standard
 * input. */
void files_default(struct files *f);
/** Is one of them standard input, which cannot be read again? */
bool files_have_stdin(const struct files *f);
/** A message of compiling rules, as those of loading look, into @out; returns @out. */
char *files_rule_text(enum route_level level, const struct conf_at *at, const char *text, char *out,
		      size_t cap);
/** Loads and prints every message to standard error, prefixed for humans. Gives, or NULL. */
struct conf *files_load(const struct files *f, size_t *warnings);

#endif
