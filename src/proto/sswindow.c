#include "proto/sswindow.h"

bool ss_window_fresh(const struct ss_window *w, uint64_t id)
{
	if (id > w->top)
		return true;
	if (w->top - id > SS_WINDOW)
		return false;
	return (w->bits[id / 64 % SS_WINDOW_WORDS] >> (id % 64) & 1) == 0;
}

void ss_window_mark(struct ss_window *w, uint64_t id)
{
	if (id > w->top) {
		uint64_t ahead = id / 64 - w->top / 64;

		/* words that the window enters still hold what was there a turn ago */
		for (uint64_t i = 1; i <= ahead && i <= SS_WINDOW_WORDS; i++)
			w->bits[(w->top / 64 + i) % SS_WINDOW_WORDS] = 0;
		w->top = id;
	}
	w->bits[id / 64 % SS_WINDOW_WORDS] |= (uint64_t)1 << (id % 64);
}
