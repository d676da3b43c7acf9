/*
 * From what people write to what a JSON parser takes.
 *
 * Accepted beyond RFC 8259: comments (//, # and slash-star), a comma after the
 * last member, a byte order mark, bytes that are not UTF-8 (they become U+FFFD),
 * and text behind the value (ignored). What is let through but probably not
 * meant is noted. The result is strict JSON plus, for each value in document
 * order, the line on which it stands.
 */
#ifndef GARENNE_CONF_SCAN_H
#define GARENNE_CONF_SCAN_H

#include <stddef.h>

#include "base/span.h"

enum {
	SCAN_DEPTH_MAX = 64,
	SCAN_SIZE_MAX = 16 << 20,
	SCAN_NUMBER_MAX = 60, /* cJSON reads at most 63 characters */
	SCAN_NOTES_MAX = 20,
};

struct scan_note {
	int line, column;
	char text[224];
};

struct scanned {
	char *text; /* strict JSON, NUL-terminated */
	size_t n;
	int *lines; /* of each value, in document order: a container before its members */
	size_t n_values, cap_values;
	struct scan_note notes[SCAN_NOTES_MAX];
	size_t n_notes;
	struct scan_note fault; /* set on failure */
};

/**
 * Borrows @in for the call. 0; -ERR_MALFORMED (with the fault set), -ERR_LIMIT
 * (too long, too deep: fault set too) or -ERR_NOMEM. Free @out in every case.
 */
int scan_json(struct scanned *out, struct span in);
/** Wipes and frees. */
void scanned_free(struct scanned *s);

#endif
