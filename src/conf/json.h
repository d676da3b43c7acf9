/* A file as a cJSON tree of which each value knows its line. */
#ifndef GARENNE_CONF_JSON_H
#define GARENNE_CONF_JSON_H

#include <cjson/cJSON.h>

#include "conf/arena.h"
#include "conf/conf.h"

/* The number of a value in document order is kept in cJSON's otherwise unused valueint. */
struct json_doc {
	const char *file;
	cJSON *root;
	int *lines;
	size_t n_values;
};

/** Line of a value of this document. */
int json_line(const struct json_doc *doc, const cJSON *v);

/**
 * Parses @text; notes and faults become messages. Borrows everything. 0, or
 * -ERR_MALFORMED or -ERR_NOMEM with an error added. Free @out in every case.
 */
int json_parse(struct json_doc *out, const char *file, struct span text, struct conf_msgs *msgs);
/** The same for a file or, as "-" or "stdin:", for standard input. */
int json_read(struct json_doc *out, const char *file, struct conf_msgs *msgs);
/** Wipes all texts first: they may be keys and passwords. */
void json_free(struct json_doc *doc);

#endif
