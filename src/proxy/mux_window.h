/*
 * How many bytes the sender of one session may have under way, as its receiver decides: the credit
 * window between our own programs (proto/muxext.h).
 *
 * It grows with a reader that keeps up, so that the sender never waits for a round trip, however
 * long it is. But where the carrier hardly ever runs dry, the slow part is its reader and not the
 * line. What then is more than the line needs only waits in the carrier, and the keystrokes of other
 * sessions wait behind it: the window shrinks until it is read in little more than a round trip.
 *
 * Pure: the clock and the carrier come as arguments.
 */
#ifndef GARENNE_PROXY_MUX_WINDOW_H
#define GARENNE_PROXY_MUX_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MUX_WINDOW_FIRST = 1 << 20,
	MUX_WINDOW_MIN = 128 << 10,
	MUX_WINDOW_MAX = 8 << 20,
};

struct mux_window {
	uint32_t size;
	uint64_t granted, consumed;   /* bytes in all */
	uint64_t judged;	      /* @consumed, when the size was last thought over */
	uint64_t judged_us, judged_dry_us;
};

/* The carrier as its reader knows it. */
struct mux_pace {
	uint64_t now_us;
	uint64_t dry_us; /* time in all in which nothing was there to read */
	uint32_t rtt_ms; /* 0: not known */
};

void mux_window_open(struct mux_window *w, const struct mux_pace *pace);

/** Bytes that may come, or wait to be read, before the sender hears of more. One that had not heard
 * of the window at first may have sent more. */
static inline size_t mux_window_left(const struct mux_window *w)
{
	return w->granted > w->consumed ? (size_t)(w->granted - w->consumed) : 0;
}

/** Is it time for mux_window_renew? */
static inline bool mux_window_is_low(const struct mux_window *w)
{
	return mux_window_left(w) < w->size / 2;
}

/** Bytes that the sender is to be granted now, of a window that is low; 0: none yet. @keeps_up: its
 * reader has left nothing behind. */
uint32_t mux_window_renew(struct mux_window *w, bool keeps_up, const struct mux_pace *pace);

#endif
