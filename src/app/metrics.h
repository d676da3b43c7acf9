/*
 * What "garenne status" knows, as a page for Prometheus: its text format, version 0.0.4.
 */
#ifndef GARENNE_APP_METRICS_H
#define GARENNE_APP_METRICS_H

#include <stdio.h>

#include "app/ask.h"

/** Writes all answers as one page, each metric once with the lines of all nodes. Borrows. */
void metrics_print(FILE *to, const struct ask_answers *answers);

#endif
