/*
 * A hook for a flow that goes on in another loop than its inbound side: what is
 * said to it there is carried back and said to the inbound's own hook, in order.
 */
#ifndef GARENNE_FLOW_FARHOOK_H
#define GARENNE_FLOW_FARHOOK_H

#include "flow/flow.h"

struct farhook;

struct farhook_user {
	/* On the inbound's loop, for the verdict: the stream that the hook may answer on (NULL for
	 * UDP), and what became of it. */
	struct stream **(*stream)(struct farhook_user *u);
	void (*told)(struct farhook_user *u, int err);
	/* The flow is over; the farhook is gone. */
	void (*over)(struct farhook_user *u);
};

/** For @near, whose side lives on @home. Gives; NULL when memory is out. */
struct farhook *farhook_new(struct flow_hook *near, struct loop *home, struct farhook_user *user);
/** What the flow gets instead of @near. */
struct flow_hook *farhook_hook(struct farhook *h);
/** Before the flow has left. */
void farhook_free(struct farhook *h);

#endif
