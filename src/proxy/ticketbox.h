/*
 * The folder where a hub keeps tickets (proto/jointicket.h):
 *
 *     3f…90.ticket    to be served once; put there by the owner of the mesh
 *     3f…90.used      the mark of its use, made before the first byte is served
 *
 * Nothing is held in memory: a file is looked for when somebody asks for it. The
 * file system decides who came first, by link(2), also between processes. When a
 * ticket is used some files that ended a month ago are removed.
 */
#ifndef GARENNE_PROXY_TICKETBOX_H
#define GARENNE_PROXY_TICKETBOX_H

#include "proto/joinmsg.h"

enum {
	TICKETBOX_KEPT_S = 30 * 86400, /* what is over is remembered so long */
	TICKETBOX_SWEEP_MAX = 1024,    /* entries looked at in one go */
};

struct ticketbox_reply {
	struct joinmsg_answer answer; /* borrows from @file */
	char node[JOINTOKEN_NODE_MAX + 1]; /* "" when nothing was found */
	bool again;		      /* served to one who had it before */
	const char *trouble;	      /* what failed, with errno in @error; NULL: nothing */
	int error;
	uint8_t *file;
};

/** Answers @q as of @now_s, seconds since 1970, for somebody at @from (family 0: unknown). Blocks for
 * the time of a few small files. */
void ticketbox_ask(const char *folder, const struct joinmsg_request *q, uint64_t now_s,
		   const struct ip *from, struct ticketbox_reply *out);
void ticketbox_reply_fini(struct ticketbox_reply *r);

#endif
