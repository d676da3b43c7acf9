/* Where this program keeps what must not outlive the machine's run: sockets, what to put back. */
#ifndef GARENNE_BASE_RUNDIR_H
#define GARENNE_BASE_RUNDIR_H

#include <stddef.h>

/** The unit's own folder ($RUNTIME_DIRECTORY), /run/garenne for root, the user's otherwise; it may
 * not exist. Returns @out, or NULL: there is none. */
const char *rundir(char *out, size_t cap);

#endif
