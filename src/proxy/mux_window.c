#include "proxy/mux_window.h"

/* What may wait in front of the reader of a busy carrier; beyond it people notice. */
enum { QUEUE_US = 5000 };

void mux_window_open(struct mux_window *w, const struct mux_pace *pace)
{
	*w = (struct mux_window){.size = MUX_WINDOW_FIRST,
				 .granted = MUX_WINDOW_FIRST,
				 .judged_us = pace->now_us,
				 .judged_dry_us = pace->dry_us};
}

/* Each time that a window's worth of bytes was read: between a share of an eighth and a third of the
 * time in which the carrier was dry it stays as it is. */
static void judge(struct mux_window *w, bool keeps_up, const struct mux_pace *pace)
{
	uint64_t took = pace->now_us - w->judged_us, dry = pace->dry_us - w->judged_dry_us;
	uint64_t needed = QUEUE_US + 2000ull * pace->rtt_ms;

	if (w->consumed - w->judged < w->size)
		return;
	if (dry < took / 8 && took > needed && w->size > MUX_WINDOW_MIN)
		w->size /= 2;
	else if (dry > took / 3 && keeps_up && w->size < MUX_WINDOW_MAX)
		w->size *= 2;
	w->judged = w->consumed;
	w->judged_us = pace->now_us;
	w->judged_dry_us = pace->dry_us;
}

uint32_t mux_window_renew(struct mux_window *w, bool keeps_up, const struct mux_pace *pace)
{
	uint32_t credit;

	judge(w, keeps_up, pace);
	if (!mux_window_is_low(w))
		return 0;
	credit = (uint32_t)(w->consumed + w->size - w->granted);
	w->granted += credit;
	return credit;
}
