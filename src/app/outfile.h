/*
 * A file that appears whole or not at all, mode 0600: written beside its place and moved there. It
 * is opened before what it shall hold is known, so that whoever cannot write hears it in time.
 */
#ifndef GARENNE_APP_OUTFILE_H
#define GARENNE_APP_OUTFILE_H

#include <stdbool.h>

#include "base/span.h"

enum { OUTFILE_PATH_MAX = 4096 };

struct outfile {
	int fd; /* -1: not open */
	bool replace;
	char path[OUTFILE_PATH_MAX], temp[OUTFILE_PATH_MAX + 8];
};

/** Makes its folder too, if that lies in one that is there. Without @replace there must be no such file, neither now nor at the end. 0,
 * or -ERR_SYS after printing why. */
int outfile_open(struct outfile *o, const char *path, bool replace);
/** Writes, syncs and moves it to its place. 0, or -ERR_SYS after printing why; then there is no
 * trace of it. */
int outfile_commit(struct outfile *o, struct span bytes);
/** Gives up; harmless after outfile_commit and a failed outfile_open. */
void outfile_drop(struct outfile *o);
/** All of it in one go. */
int outfile_write(const char *path, struct span bytes, bool replace);

#endif
