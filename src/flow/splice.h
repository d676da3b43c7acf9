/*
 * splice(2) between two sockets: bytes go from one to the other through a pipe
 * inside the kernel. Pipes are costly to make and idle flows must hold none, so
 * a thread keeps a few and a pump borrows one only while it holds bytes.
 */
#ifndef GARENNE_FLOW_SPLICE_H
#define GARENNE_FLOW_SPLICE_H

#include <stdbool.h>

struct pump;
struct splice_pipe;

/** One helping from p->from to p->to, which have sockets for this direction. 0 or -ERR_*; *@from_side tells which
 * end failed. */
int splice_pump(struct pump *p, bool readable, bool *from_side);
bool splice_pipe_holds(const struct splice_pipe *pipe);
/** Gives the pipe back to the thread's store (closed if bytes are in it); *@pipe becomes NULL. */
void splice_pipe_return(struct splice_pipe **pipe);
/** Frees the thread's store; call before the thread ends. */
void splice_thread_exit(void);

#endif
