/*
 * A recursive descent over the grammar of JSON that copies tokens to the
 * output. It checks everything that the parser behind it would refuse, because
 * only here the place of a fault is known; the parser then fails on nothing but
 * lack of memory.
 */
#include "conf/scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

enum { WORD_SHOWN = 9 };

struct scan {
	struct span in;
	size_t at;
	int line;
	size_t line_start;
	int depth;
	int code;     /* 0 or the failure */
	int end_line; /* where the last complete value ended */
	bool utf8_noted;
	size_t cap; /* of out->text */
	struct scanned *out;
};

/* The byte at the cursor or behind it; -1, which is no character, at the end. */
static int peek(const struct scan *s)
{
	return s->at < s->in.n ? s->in.p[s->at] : -1;
}

static int peek_at(const struct scan *s, size_t ahead)
{
	return ahead < s->in.n - s->at ? s->in.p[s->at + ahead] : -1;
}

static void next(struct scan *s)
{
	if (s->in.p[s->at++] == '\n') {
		s->line++;
		s->line_start = s->at;
	}
}

static void __attribute__((format(printf, 3, 0)))
put_note(const struct scan *s, struct scan_note *n, const char *fmt, va_list ap)
{
	n->line = s->line;
	n->column = (int)(s->at - s->line_start) + 1;
	vsnprintf(n->text, sizeof(n->text), fmt, ap);
}

static void __attribute__((format(printf, 2, 3))) note(struct scan *s, const char *fmt, ...)
{
	va_list ap;

	if (s->out->n_notes == SCAN_NOTES_MAX)
		return;
	va_start(ap, fmt);
	put_note(s, &s->out->notes[s->out->n_notes++], fmt, ap);
	va_end(ap);
}

/* Only the first failure counts. Returns false for the convenience of callers. */
static bool __attribute__((format(printf, 3, 4)))
fail(struct scan *s, int code, const char *fmt, ...)
{
	va_list ap;

	if (s->code)
		return false;
	s->code = code;
	va_start(ap, fmt);
	put_note(s, &s->out->fault, fmt, ap);
	va_end(ap);
	return false;
}

static bool grow(struct scan *s, size_t more)
{
	size_t cap = s->cap ? s->cap * 2 : s->in.n + 64;
	char *text;

	if (more < s->cap - s->out->n)
		return true;
	while (more >= cap - s->out->n)
		cap *= 2;
	/* not realloc: the old block holds secrets and must be wiped */
	text = malloc(cap);
	if (!text)
		return fail(s, -ERR_NOMEM, "out of memory");
	if (s->out->text) {
		memcpy(text, s->out->text, s->out->n);
		explicit_bzero(s->out->text, s->out->n);
		free(s->out->text);
	}
	s->out->text = text;
	s->cap = cap;
	return true;
}

static bool emit(struct scan *s, const void *p, size_t n)
{
	if (!grow(s, n))
		return false;
	memcpy(s->out->text + s->out->n, p, n);
	s->out->n += n;
	return true;
}

static bool mark_value(struct scan *s)
{
	struct scanned *o = s->out;

	if (o->n_values == o->cap_values) {
		size_t cap = o->cap_values ? o->cap_values * 2 : 256;
		int *lines = realloc(o->lines, cap * sizeof(*lines));

		if (!lines)
			return fail(s, -ERR_NOMEM, "out of memory");
		o->lines = lines;
		o->cap_values = cap;
	}
	o->lines[o->n_values++] = s->line;
	return true;
}

/* What stands at the cursor, for "found ...". */
static const char *here(const struct scan *s, char *out, size_t cap)
{
	int c = peek(s);
	size_t n = 0;

	if (c < 0) {
		snprintf(out, cap, "the end of the file");
		return out;
	}
	/* a short word helps (True, yes); anything longer might be a password without quotes */
	while (n <= WORD_SHOWN && peek_at(s, n) < 128 && isalnum(peek_at(s, n)))
		n++;
	if (n > 1 && n <= WORD_SHOWN)
		snprintf(out, cap, "%.*s", (int)n, (const char *)s->in.p + s->at);
	else if (c == '\n' || c == '\r')
		snprintf(out, cap, "the end of the line");
	else if (c == '\t')
		snprintf(out, cap, "a tab");
	else if (c > 32 && c < 127)
		snprintf(out, cap, "'%c'", c);
	else
		snprintf(out, cap, "byte 0x%02x", (unsigned)c);
	return out;
}

static bool skip_block_comment(struct scan *s)
{
	int from = s->line;

	next(s);
	next(s);
	while (peek(s) >= 0) {
		if (peek(s) == '*' && peek_at(s, 1) == '/') {
			next(s);
			next(s);
			return true;
		}
		next(s);
	}
	return fail(s, -ERR_MALFORMED,
		    "found the end of the file, expected */ to close the comment of line %d", from);
}

/* Blanks and comments. */
static bool skip(struct scan *s)
{
	for (;;) {
		int c = peek(s);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			next(s);
		} else if (c == '#' || (c == '/' && peek_at(s, 1) == '/')) {
			while (peek(s) >= 0 && peek(s) != '\n')
				next(s);
		} else if (c == '/' && peek_at(s, 1) == '*') {
			if (!skip_block_comment(s))
				return false;
		} else {
			return true;
		}
	}
}

/* Length of the valid UTF-8 sequence at the cursor (RFC 3629), or 0. */
static size_t utf8_len(const struct scan *s)
{
	int c = peek(s);
	int lo = 0x80, hi = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f;
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	if (peek_at(s, 1) < lo || peek_at(s, 1) > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (peek_at(s, i) < 0x80 || peek_at(s, i) > 0xbf)
			return 0;
	return n;
}

static bool hex4(const struct scan *s, size_t ahead, unsigned *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < 4; i++) {
		int c = peek_at(s, ahead + i);

		if (c < 0 || c > 127 || !isxdigit(c))
			return false;
		v = v * 16 + (unsigned)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	*out = v;
	return true;
}

/* At a backslash inside a text. */
static bool scan_escape(struct scan *s)
{
	unsigned hi, lo;
	size_t n = 6;
	int c = peek_at(s, 1);

	if (c != 'u') {
		if (c <= 0 || !strchr("\"\\/bfnrt", c)) {
			next(s);
			return fail(s, -ERR_MALFORMED,
				    "found an unknown escape in a text, expected one of \\\" \\\\ "
				    "\\/ \\b \\f \\n \\r \\t \\uXXXX");
		}
		n = 2;
	} else if (!hex4(s, 2, &hi)) {
		return fail(s, -ERR_MALFORMED, "expected four hexadecimal digits after \\u");
	} else if (hi == 0) {
		return fail(s, -ERR_MALFORMED, "found \\u0000, expected text without NUL");
	} else if (hi >= 0xd800 && hi <= 0xdfff) {
		bool pair = hi < 0xdc00 && peek_at(s, 6) == '\\' && peek_at(s, 7) == 'u' &&
			    hex4(s, 8, &lo) && lo >= 0xdc00 && lo <= 0xdfff;

		if (!pair) {
			s->at += 6;
			return emit(s, "\\ufffd", 6);
		}
		n = 12;
	}
	if (!emit(s, s->in.p + s->at, n))
		return false;
	s->at += n;
	return true;
}

static bool scan_raw_char(struct scan *s)
{
	size_t n = utf8_len(s);

	if (n == 0) {
		if (!s->utf8_noted)
			note(s, "found bytes that are not UTF-8, they are read as U+FFFD");
		s->utf8_noted = true;
		s->at++;
		return emit(s, "\xef\xbf\xbd", 3);
	}
	if (!emit(s, s->in.p + s->at, n))
		return false;
	s->at += n;
	return true;
}

static bool scan_text(struct scan *s)
{
	char what[64];

	next(s);
	if (!emit(s, "\"", 1))
		return false;
	for (;;) {
		int c = peek(s);
		bool ok;

		if (c == '"') {
			next(s);
			return emit(s, "\"", 1);
		}
		if (c < 0x20)
			return fail(s, -ERR_MALFORMED,
				    "found %s inside a text, expected its closing '\"'",
				    here(s, what, sizeof(what)));
		ok = c == '\\' ? scan_escape(s) : scan_raw_char(s);
		if (!ok)
			return false;
	}
}

static size_t digits(const struct scan *s, size_t i)
{
	while (peek_at(s, i) >= '0' && peek_at(s, i) <= '9')
		i++;
	return i;
}

static bool scan_number(struct scan *s)
{
	size_t i = peek(s) == '-' ? 1 : 0, from = i;

	i = digits(s, i);
	if (i == from || (peek_at(s, from) == '0' && i > from + 1))
		return fail(s, -ERR_MALFORMED, "expected a number without leading zeros");
	if (peek_at(s, i) == '.') {
		from = ++i;
		i = digits(s, i);
		if (i == from)
			return fail(s, -ERR_MALFORMED, "expected digits behind the decimal point");
	}
	if (peek_at(s, i) == 'e' || peek_at(s, i) == 'E') {
		i++;
		if (peek_at(s, i) == '+' || peek_at(s, i) == '-')
			i++;
		from = i;
		i = digits(s, i);
		if (i == from)
			return fail(s, -ERR_MALFORMED, "expected digits in the exponent");
	}
	if (i > SCAN_NUMBER_MAX)
		return fail(s, -ERR_LIMIT, "found a number of %zu characters, expected at most %d",
			    i, SCAN_NUMBER_MAX);
	if (!emit(s, s->in.p + s->at, i))
		return false;
	s->at += i;
	return true;
}

static bool scan_word(struct scan *s)
{
	static const char *const words[] = {"true", "false", "null"};
	char what[64];

	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		size_t n = strlen(words[w]);
		int after;

		if (n > s->in.n - s->at || memcmp(s->in.p + s->at, words[w], n) != 0)
			continue;
		after = peek_at(s, n);
		if (after >= 0 && after < 128 && (isalnum(after) || after == '_'))
			continue;
		if (!emit(s, words[w], n))
			return false;
		s->at += n;
		return true;
	}
	return fail(s, -ERR_MALFORMED,
		    "found %s, expected a value: text in double quotes, a number, true, false, "
		    "null, { or [",
		    here(s, what, sizeof(what)));
}

static bool scan_value(struct scan *s);

static bool fail_separator(struct scan *s, char close, int open_line)
{
	char what[64];
	char open = close == '}' ? '{' : '[';

	if (peek(s) < 0)
		return fail(s, -ERR_MALFORMED,
			    "found the end of the file, expected '%c' to close the '%c' of line %d",
			    close, open, open_line);
	if (s->line > s->end_line)
		return fail(s, -ERR_MALFORMED,
			    "found %s, expected ',' or '%c' (is a comma missing at the end of line "
			    "%d?)",
			    here(s, what, sizeof(what)), close, s->end_line);
	return fail(s, -ERR_MALFORMED, "found %s, expected ',' or '%c'",
		    here(s, what, sizeof(what)), close);
}

static bool scan_key(struct scan *s)
{
	char what[64];

	if (peek(s) != '"')
		return fail(s, -ERR_MALFORMED, "found %s, expected a key in double quotes or '}'",
			    here(s, what, sizeof(what)));
	if (!scan_text(s) || !skip(s))
		return false;
	if (peek(s) != ':')
		return fail(s, -ERR_MALFORMED, "found %s, expected ':' behind the key",
			    here(s, what, sizeof(what)));
	next(s);
	return emit(s, ":", 1) && skip(s);
}

/* An object or array; the cursor is on its opening bracket. */
static bool scan_container(struct scan *s)
{
	char open = (char)peek(s), close = open == '{' ? '}' : ']';
	int open_line = s->line;
	bool comma = false;

	if (s->depth == SCAN_DEPTH_MAX)
		return fail(s, -ERR_LIMIT, "nested deeper than %d levels", SCAN_DEPTH_MAX);
	s->depth++;
	next(s);
	if (!emit(s, &open, 1) || !skip(s))
		return false;
	while (peek(s) != close) {
		if (comma && !emit(s, ",", 1))
			return false;
		if (open == '{' && !scan_key(s))
			return false;
		if (!scan_value(s) || !skip(s))
			return false;
		comma = false;
		if (peek(s) == close)
			break;
		if (peek(s) != ',')
			return fail_separator(s, close, open_line);
		next(s);
		comma = true;
		if (!skip(s))
			return false;
		if (peek(s) == close)
			note(s, "found a comma before '%c'; other programs refuse this file",
			     close);
	}
	next(s);
	s->depth--;
	return emit(s, &close, 1);
}

static bool scan_value(struct scan *s)
{
	int c = peek(s);
	bool ok;

	if (!mark_value(s))
		return false;
	if (c == '{' || c == '[')
		ok = scan_container(s);
	else if (c == '"')
		ok = scan_text(s);
	else if (c == '-' || (c >= '0' && c <= '9'))
		ok = scan_number(s);
	else
		ok = scan_word(s);
	s->end_line = s->line;
	return ok;
}

int scan_json(struct scanned *out, struct span in)
{
	struct scan s = {.in = in, .line = 1, .out = out};

	memset(out, 0, sizeof(*out));
	if (in.n > SCAN_SIZE_MAX) {
		fail(&s, -ERR_LIMIT, "the file is larger than %d MiB", SCAN_SIZE_MAX >> 20);
		return s.code;
	}
	if (in.n >= 3 && memcmp(in.p, "\xef\xbb\xbf", 3) == 0) {
		s.at = 3;
		s.line_start = 3;
	}
	if (!skip(&s) || !scan_value(&s) || !skip(&s))
		return s.code;
	if (peek(&s) >= 0) {
		char what[64];

		note(&s, "found %s behind the end of the configuration; the rest is ignored",
		     here(&s, what, sizeof(what)));
	}
	if (!emit(&s, "", 1))
		return s.code;
	out->n--;
	return 0;
}

void scanned_free(struct scanned *s)
{
	if (s->text)
		explicit_bzero(s->text, s->n);
	free(s->text);
	free(s->lines);
	memset(s, 0, sizeof(*s));
}
