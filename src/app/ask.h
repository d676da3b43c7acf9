/* The client of the control socket: which running programs there are, and what they answer. */
#ifndef GARENNE_APP_ASK_H
#define GARENNE_APP_ASK_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct command;

enum { ASK_MAX = 64 };

struct ask_answers {
	cJSON *v[ASK_MAX];
	size_t n;
};

/**
 * Puts @request (borrowed) to the program at @socket, or to all that run on this machine when it
 * is NULL. 0 and at least one answer, or an exit code after the fault was printed.
 */
int ask(const struct command *c, const char *socket, const cJSON *request,
	struct ask_answers *out);
void ask_free(struct ask_answers *a);

/* Reading answers: what is missing is "" or 0. */
const char *ask_text(const cJSON *o, const char *key);
double ask_number(const cJSON *o, const char *key);
bool ask_flag(const cJSON *o, const char *key);
/** "340 ms", "12 s", "3 min", "5 h 10 min", "4 d 3 h" into @out; returns @out. */
char *ask_span(double ms, char *out, size_t cap);
/** "812 B", "3.4 KiB", "1.2 GiB" into @out; returns @out. */
char *ask_bytes(double n, char *out, size_t cap);

#endif
