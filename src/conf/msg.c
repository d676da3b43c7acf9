#include "conf/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARNINGS_MAX = 10 * CONF_ERRORS_MAX };

static bool reserve(struct conf_msgs *m)
{
	size_t cap = m->cap ? m->cap * 2 : 16;
	struct conf_msg *v;

	if (m->n < m->cap)
		return true;
	v = realloc(m->v, cap * sizeof(*v));
	if (!v)
		return false;
	m->v = v;
	m->cap = cap;
	return true;
}

/* The three texts of a message share one block, which @file begins. */
static bool store(struct conf_msg *msg, const struct conf_at *at, const char *text)
{
	size_t nf = strlen(at->file) + 1, np = strlen(at->path) + 1, nt = strlen(text) + 1;
	char *mem = malloc(nf + np + nt);

	if (!mem)
		return false;
	memcpy(mem, at->file, nf);
	memcpy(mem + nf, at->path, np);
	memcpy(mem + nf + np, text, nt);
	msg->file = mem;
	msg->path = mem + nf;
	msg->text = mem + nf + np;
	return true;
}

void conf_msg_addv(struct conf_msgs *m, enum conf_msg_level level, const struct conf_at *at,
		   int column, const char *fmt, va_list ap)
{
	struct conf_msg msg = {.level = level, .line = at->line, .column = column};
	char text[MSG_TEXT_MAX];
	size_t count = level == CONF_MSG_ERROR ? ++m->errors : ++m->warnings;

	if (count > (level == CONF_MSG_ERROR ? (size_t)CONF_ERRORS_MAX : (size_t)WARNINGS_MAX))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (reserve(m) && store(&msg, at, text))
		m->v[m->n++] = msg;
}

void conf_msg_add(struct conf_msgs *m, enum conf_msg_level level, const struct conf_at *at,
		  int column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_msg_addv(m, level, at, column, fmt, ap);
	va_end(ap);
}

void conf_msgs_free(struct conf_msgs *m)
{
	for (size_t i = 0; i < m->n; i++)
		free((void *)(uintptr_t)m->v[i].file);
	free(m->v);
	memset(m, 0, sizeof(*m));
}

char *conf_msg_text(const struct conf_msg *m, char *out, size_t cap)
{
	const char *level = m->level == CONF_MSG_ERROR ? "error" : "warning";
	char place[64] = "";

	if (m->column > 0)
		snprintf(place, sizeof(place), ":%d:%d", m->line, m->column);
	else if (m->line > 0)
		snprintf(place, sizeof(place), ":%d", m->line);
	snprintf(out, cap, "%s: %s%s%s%s%s%s", level, m->file, place, *m->file ? ": " : "", m->path,
		 *m->path ? ": " : "", m->text);
	return out;
}
