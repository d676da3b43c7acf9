/* Times of the calendar, for people: "2006-01-02 15:04:05 UTC". */
#ifndef GARENNE_APP_STAMP_H
#define GARENNE_APP_STAMP_H

#include <stdint.h>

enum { STAMP_TEXT = 40 };

/** @s seconds since 1970; returns @out. */
char *stamp_text(uint64_t s, char out[STAMP_TEXT]);

#endif
