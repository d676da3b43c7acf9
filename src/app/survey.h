/*
 * A round through all workers: each is visited in its own thread, one after the
 * other, and the round ends where it began, on the first. Nothing is locked and
 * no worker waits for another; what is gathered travels with the round.
 */
#ifndef GARENNE_APP_SURVEY_H
#define GARENNE_APP_SURVEY_H

#include <stdatomic.h>

#include <cjson/cJSON.h>

#include "flow/core.h"

struct survey {
	struct post post;
	struct core *core;
	const atomic_bool *stopping; /* then the round is given up: done is not called */
	unsigned at;
	cJSON *out;
	void (*visit)(struct survey *s, struct worker *w);
	void (*done)(struct survey *s); /* on the first worker */
	void (*destroy)(struct survey *s);
};

/** Starts on the first worker. @s is filled but for post and at; it is destroyed after done. */
void survey_start(struct survey *s);

#endif
