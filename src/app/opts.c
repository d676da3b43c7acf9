#include "app/opts.h"

#include <string.h>
#include <strings.h>

#include "app/cli.h"

static const struct opts *find(const struct opts *table, const char *arg, const char **value)
{
	const char *name = arg + 1 + (arg[1] == '-');
	size_t n = strcspn(name, "=");

	*value = name[n] == '=' ? name + n + 1 : NULL;
	for (; table->name; table++)
		if (strlen(table->name) == n && strncmp(table->name, name, n) == 0)
			return table;
	return NULL;
}

static bool word_to_bool(const char *text, bool *out)
{
	static const char *const no[] = {"false", "0", "f"}, *const yes[] = {"true", "1", "t"};

	for (size_t i = 0; i < 3; i++) {
		if (strcasecmp(text, no[i]) != 0 && strcasecmp(text, yes[i]) != 0)
			continue;
		*out = strcasecmp(text, yes[i]) == 0;
		return true;
	}
	return false;
}

static bool add(struct opts_list *l, const char *value)
{
	if (l->n == OPTS_LIST_MAX)
		return false;
	l->v[l->n++] = value;
	return true;
}

static int take(const struct command *c, const struct opts *o, const char *value)
{
	if (o->flag) {
		*o->flag = true;
		if (value && !word_to_bool(value, o->flag))
			return cli_usage(c, "-%s: found \"%s\", expected true or false", o->name,
					 value);
		return EXIT_OK;
	}
	if (!value)
		return cli_usage(c, "-%s needs a value", o->name);
	if (o->text)
		*o->text = value;
	else if (!add(o->list, value))
		return cli_usage(c, "-%s is given more than %d times", o->name, OPTS_LIST_MAX);
	return EXIT_OK;
}

int opts_parse(const struct command *c, const struct opts *table, int argc, char **argv,
	       struct opts_list *rest)
{
	bool operands = false;

	for (int i = 1; i < argc; i++) {
		const struct opts *o;
		const char *value;
		int code;

		if (operands || argv[i][0] != '-' || argv[i][1] == 0) {
			if (!rest)
				return cli_usage(c, "what is \"%s\"?", argv[i]);
			if (!add(rest, argv[i]))
				return cli_usage(c, "more than %d operands", OPTS_LIST_MAX);
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			operands = true;
			continue;
		}
		o = find(table, argv[i], &value);
		if (!o)
			return cli_usage(c, "what is \"%s\"?", argv[i]);
		if (!o->flag && !value && i + 1 < argc)
			value = argv[++i];
		code = take(c, o, value);
		if (code)
			return code;
	}
	return EXIT_OK;
}
