#include "app/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGE_MAX = 1024 };

bool files_add(struct files *f, const char *name)
{
	if (f->n == FILES_MAX)
		return false;
	f->name[f->n++] = name;
	return true;
}

void files_default(struct files *f)
{
	static char found[4096];
	static const char *const names[] = {"config.json", "config.jsonc"};
	const char *dirs[] = {".", getenv("XRAY_LOCATION_CONFIG")};

	if (f->n || f->confdir)
		return;
	for (size_t d = 0; d < 2; d++)
		for (size_t i = 0; dirs[d] && i < 2; i++) {
			snprintf(found, sizeof(found), "%s/%s", dirs[d], names[i]);
			if (access(found, R_OK) == 0) {
				files_add(f, found);
				return;
			}
		}
	files_add(f, "-");
}

bool files_have_stdin(const struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (conf_is_stdin(f->name[i]))
			return true;
	return false;
}

char *files_rule_text(enum route_level level, const struct conf_at *at, const char *text, char *out,
		      size_t cap)
{
	const struct conf_msg m = {
		.level = level == ROUTE_ERROR ? CONF_MSG_ERROR : CONF_MSG_WARNING,
		.file = at->file, .line = at->line, .path = at->path, .text = text};

	return conf_msg_text(&m, out, cap);
}

struct conf *files_load(const struct files *f, size_t *warnings)
{
	struct conf_msgs msgs = {0};
	struct conf *c = conf_load(f->name, f->n, f->confdir, &msgs);

	for (size_t i = 0; i < msgs.n; i++) {
		char text[MESSAGE_MAX];

		fprintf(stderr, "%s\n", conf_msg_text(&msgs.v[i], text, sizeof(text)));
	}
	*warnings = msgs.warnings;
	conf_msgs_free(&msgs);
	return c;
}
