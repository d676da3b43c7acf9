/*
 * Error codes shared by all folders. Functions return 0 or a positive count on
 * success and a negated code on failure: return -ERR_MALFORMED.
 */
#ifndef GARENNE_BASE_ERR_H
#define GARENNE_BASE_ERR_H

enum err {
	ERR_NONE = 0,
	ERR_EOF,	 /* the peer finished sending; not a fault */
	ERR_END,	 /* the peer ended both directions in order; not a fault */
	ERR_MALFORMED,	 /* bytes that no valid peer sends */
	ERR_AUTH,	 /* not one of our users, or a bad tag */
	ERR_REPLAY,	 /* authentic, but seen before */
	ERR_CLOCK,	 /* authentic, but its time is too far from ours */
	ERR_UNSUPPORTED, /* valid, but not implemented or not allowed here */
	ERR_LIMIT,	 /* a configured or built-in bound was hit */
	ERR_NOMEM,
	ERR_RESOLVE,	 /* a name has no address */
	ERR_REFUSED,	 /* the target refused the connection */
	ERR_UNREACH,	 /* no route to host or network */
	ERR_TIMEOUT,
	ERR_RESET,	 /* connection broken by the other side */
	ERR_TLS,	 /* TLS handshake or record failure */
	ERR_BLOCKED,	 /* a rule said no */
	ERR_NOROUTE,	 /* no outbound for this flow */
	ERR_NOWORKER,	 /* a portal has no live carrier */
	ERR_LOOP,	 /* the flow would come back to us */
	ERR_CLOSED,	 /* we closed it ourselves: stop, drain, idle */
	ERR_SYS,	 /* any other failure of a system call */
	ERR_MAX_
};

/** Stable lower-case name of a code; takes it with either sign. Never NULL. */
const char *err_name(int code);

/** The code (positive) that stands for a value of errno. */
enum err err_from_errno(int sys_errno);

#endif
