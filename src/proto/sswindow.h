/*
 * The packet ids of one UDP session that were seen: everything ahead of the
 * newest is fresh, and up to SS_WINDOW behind it what was not marked. A ring of
 * bits as in RFC 6479. A zeroed object is an empty window.
 */
#ifndef GARENNE_PROTO_SSWINDOW_H
#define GARENNE_PROTO_SSWINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SS_WINDOW_WORDS = 128,
	SS_WINDOW = (SS_WINDOW_WORDS - 1) * 64, /* the word of the newest is in use itself */
};

struct ss_window {
	uint64_t top;
	uint64_t bits[SS_WINDOW_WORDS];
};

/** False for an id that was marked, or is too old to know. */
bool ss_window_fresh(const struct ss_window *w, uint64_t id);
/** Marks a fresh id; call when its packet has been authenticated. */
void ss_window_mark(struct ss_window *w, uint64_t id);

#endif
