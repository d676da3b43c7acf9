/*
 * Connections of commands that look at a server from outside, one at a time:
 * blocking, with a time until which everything must be over, and attentive to
 * how the other side ends.
 */
#ifndef GARENNE_APP_KNOCK_H
#define GARENNE_APP_KNOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"

/* How a conversation stands. */
enum knock_end {
	KNOCK_OPEN = 0, /* the other side neither spoke nor closed in time */
	KNOCK_FIN,
	KNOCK_RESET,
};

/** Milliseconds of a clock that only goes forward. */
uint64_t knock_now_ms(void);
/** "HOST" or "HOST:PORT"; 443 without a port. 0 or -ERR_MALFORMED. */
int knock_target(struct addr *out, const char *text);
/** The first address of @a by the system's resolver. 0, or -ERR_RESOLVE and *@why (static). */
int knock_resolve(struct ipport *out, const struct addr *a, const char **why);
/** A connected socket, with @ms as time limit of each later blocking call too; -1 and errno. */
int knock_dial(const struct ipport *to, unsigned ms);
/** False when the other side did not take all of it. */
bool knock_send(int fd, struct span bytes);
/** Up to @cap bytes, as soon as there are any before @until_ms; 0 with the state in *@end. */
size_t knock_read(int fd, void *out, size_t cap, uint64_t until_ms, enum knock_end *end);

#endif
