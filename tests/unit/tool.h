/* Runs a command of the program in this process and keeps what it printed. */
#ifndef GARENNE_TEST_TOOL_H
#define GARENNE_TEST_TOOL_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"

struct tool {
	int code;
	char out[16384], err[16384];
};

/* Standard output and error are swapped below stdio, for the time of the call. */
static int tool_divert(FILE *stream, FILE *to)
{
	int saved;

	fflush(stream);
	saved = dup(fileno(stream));
	assert_true(saved >= 0 && dup2(fileno(to), fileno(stream)) >= 0);
	return saved;
}

static void tool_restore(FILE *stream, int saved, FILE *from, char *out, size_t cap)
{
	size_t n;

	fflush(stream);
	dup2(saved, fileno(stream));
	close(saved);
	rewind(from);
	n = fread(out, 1, cap - 1, from);
	out[n] = 0;
	fclose(from);
}

/* @argv[1..] are the words after "garenne". */
static void tool_run_words(struct tool *t, int argc, char **argv)
{
	FILE *out = tmpfile(), *err = tmpfile();
	int saved_out, saved_err;

	assert_non_null(out);
	assert_non_null(err);
	saved_out = tool_divert(stdout, out);
	saved_err = tool_divert(stderr, err);
	t->code = cli_main(argc, argv);
	tool_restore(stderr, saved_err, err, t->err, sizeof(t->err));
	tool_restore(stdout, saved_out, out, t->out, sizeof(t->out));
}

/* The words after "garenne"; NULL ends them. */
static inline void tool_run(struct tool *t, ...)
{
	char *argv[64] = {(char[]){"garenne"}};
	int argc = 1;
	char *word;
	va_list ap;

	va_start(ap, t);
	while ((word = va_arg(ap, char *)) != NULL && argc < 63)
		argv[argc++] = word;
	va_end(ap);
	tool_run_words(t, argc, argv);
}

#endif
