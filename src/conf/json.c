#include "conf/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "conf/msg.h"
#include "conf/scan.h"

int json_line(const struct json_doc *doc, const cJSON *v)
{
	size_t i = (size_t)v->valueint;

	return i < doc->n_values ? doc->lines[i] : 0;
}

/* Numbers the values in the order in which the scanner met them. */
static int number_values(cJSON *v, int n)
{
	v->valueint = n++;
	for (cJSON *c = v->child; c; c = c->next)
		n = number_values(c, n);
	return n;
}

static void tell(const struct scan_note *note, enum conf_msg_level level, const char *file,
		 struct conf_msgs *msgs)
{
	struct conf_at at = {.file = file, .line = note->line, .path = ""};

	conf_msg_add(msgs, level, &at, note->column, "%s", note->text);
}

int json_parse(struct json_doc *out, const char *file, struct span text, struct conf_msgs *msgs)
{
	struct conf_at at = {.file = file, .path = ""};
	struct scanned s;
	int rc = scan_json(&s, text);

	memset(out, 0, sizeof(*out));
	out->file = file;
	for (size_t i = 0; i < s.n_notes; i++)
		tell(&s.notes[i], CONF_MSG_WARNING, file, msgs);
	if (rc != 0) {
		tell(&s.fault, CONF_MSG_ERROR, file, msgs);
		scanned_free(&s);
		return rc;
	}
	out->root = cJSON_ParseWithLength(s.text, s.n + 1);
	if (!out->root || (size_t)number_values(out->root, 0) != s.n_values) {
		conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "cannot be parsed (out of memory?)");
		scanned_free(&s);
		return -ERR_NOMEM;
	}
	out->lines = s.lines;
	out->n_values = s.n_values;
	s.lines = NULL;
	scanned_free(&s);
	return 0;
}

bool conf_is_stdin(const char *file)
{
	return strcmp(file, "-") == 0 || strcmp(file, "stdin:") == 0;
}

/* The whole file, or one byte more than is allowed. NULL with errno set on failure. */
static uint8_t *slurp(FILE *f, size_t *n)
{
	size_t cap = 65536, len = 0;
	uint8_t *buf = malloc(cap);

	while (buf) {
		size_t got = fread(buf + len, 1, cap - len, f);

		len += got;
		if (got == 0 || len > SCAN_SIZE_MAX)
			break;
		if (len == cap) {
			uint8_t *more = malloc(cap * 2);

			if (more)
				memcpy(more, buf, len);
			explicit_bzero(buf, len);
			free(buf);
			buf = more;
			cap *= 2;
		}
	}
	if (buf && ferror(f)) {
		explicit_bzero(buf, len);
		free(buf);
		buf = NULL;
	}
	*n = len;
	return buf;
}

int json_read(struct json_doc *out, const char *file, struct conf_msgs *msgs)
{
	struct conf_at at = {.file = conf_is_stdin(file) ? "stdin" : file, .path = ""};
	FILE *f = conf_is_stdin(file) ? stdin : fopen(file, "re");
	uint8_t *text;
	size_t n;
	int rc;

	memset(out, 0, sizeof(*out));
	out->file = at.file;
	if (!f) {
		conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "cannot be opened: %s", strerror(errno));
		return -ERR_SYS;
	}
	text = slurp(f, &n);
	if (!text)
		conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "cannot be read: %s", strerror(errno));
	if (f != stdin)
		fclose(f);
	if (!text)
		return -ERR_SYS;
	rc = json_parse(out, at.file, span_of(text, n), msgs);
	explicit_bzero(text, n);
	free(text);
	return rc;
}

static void wipe(cJSON *v)
{
	for (; v; v = v->next) {
		if (v->valuestring)
			explicit_bzero(v->valuestring, strlen(v->valuestring));
		wipe(v->child);
	}
}

void json_free(struct json_doc *doc)
{
	wipe(doc->root);
	cJSON_Delete(doc->root);
	free(doc->lines);
	memset(doc, 0, sizeof(*doc));
}
