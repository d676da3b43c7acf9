/*
 * Options of a command, written as Go programs take them, because users of Xray
 * are used to it: "-name value", "--name value", "-name=value"; a switch takes
 * no value but may be written "-name=false". What does not begin with '-' is an
 * operand, and so is everything behind "--".
 */
#ifndef GARENNE_APP_OPTS_H
#define GARENNE_APP_OPTS_H

#include <stdbool.h>
#include <stddef.h>

struct command;

enum { OPTS_LIST_MAX = 64 };

struct opts_list {
	const char *v[OPTS_LIST_MAX];
	size_t n;
};

/* One of the three targets is set and says which kind of option it is. */
struct opts {
	const char *name; /* without dashes; NULL ends a table */
	bool *flag;
	const char **text;	/* the last one given counts */
	struct opts_list *list; /* all that are given, in order */
};

/**
 * Reads @argv[1..]; targets keep their value where nothing is given and point
 * into @argv. @rest gets the operands; NULL: there may be none. 0, or EXIT_USAGE
 * after the fault was printed.
 */
int opts_parse(const struct command *c, const struct opts *table, int argc, char **argv,
	       struct opts_list *rest);

#endif
