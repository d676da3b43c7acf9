/*
 * What a running object takes over when the files were read again: made beforehand by its renewal()
 * operation, where all that can fail is done, and put in place while every loop stands still.
 */
#ifndef GARENNE_FLOW_RENEWAL_H
#define GARENNE_FLOW_RENEWAL_H

#include "base/list.h"

struct renewal {
	/* Changes places with what is in use. All loops stand still. */
	void (*apply)(struct renewal *r);
	/* Frees what it holds, which nobody uses: it was not applied, or the loops have ended. */
	void (*free)(struct renewal *r);
	struct list node; /* for whoever keeps it */
};

#endif
