/*
 * What a server answered to one probe, and whether two servers answered alike:
 * TLS is compared by the shape of its records, since keys and random numbers
 * differ each time; anything else byte by byte, but for the date of HTTP.
 */
#ifndef GARENNE_APP_REPLY_H
#define GARENNE_APP_REPLY_H

#include "app/grades.h"
#include "app/knock.h"

enum { REPLY_MAX = 32768, REPLY_WHY_MAX = 192 };

struct reply {
	uint8_t b[REPLY_MAX + 1]; /* room for an end of string */
	size_t n;
	enum knock_end end;
	bool unreachable;
};

/* How long a prober waits, in milliseconds. */
struct patience {
	unsigned first; /* for the first byte, or the end */
	unsigned quiet; /* after the last byte, before that counts as all */
};

/** Reads from @fd until it ends, is silent, or the reply is full. */
void reply_read(struct reply *r, int fd, const struct patience *p);
/** "nothing, stays open", "7 bytes, then closes" ... into @out; returns @out. */
char *reply_text(const struct reply *r, char *out, size_t cap);
/** Does @ours look like @theirs? GRADE_OK, or worse and the difference in @why[REPLY_WHY_MAX].
 * Dates in both are blotted out. */
enum grade reply_compare(struct reply *ours, struct reply *theirs, char *why);

#endif
