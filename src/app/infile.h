/* A whole file as text. What it holds may be keys: its user wipes it. */
#ifndef GARENNE_APP_INFILE_H
#define GARENNE_APP_INFILE_H

#include <stddef.h>

/** Gives, or NULL and errno: EFBIG for one of @max bytes or more. */
char *infile_load(const char *path, size_t max);
/** The same; NULL only after a line was printed. */
char *infile_slurp(const char *path, size_t max);
/** Wipes and frees. Takes NULL too. */
void infile_wipe(char *text);

#endif
