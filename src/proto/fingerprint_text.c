/* Reads the text of a fingerprint: lines of words, "#" begins a comment. */
#include "base/err.h"
#include "proto/fingerprint.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; empty at its end. */
static struct span next_word(struct span *line)
{
	struct span w;

	while (line->n > 0 && is_blank(line->p[0]))
		*line = span_of(line->p + 1, line->n - 1);
	w = span_of(line->p, 0);
	while (line->n > 0 && !is_blank(line->p[0])) {
		w.n++;
		*line = span_of(line->p + 1, line->n - 1);
	}
	return w;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_word(struct span w, const char *text)
{
	return span_eq(w, span_str(text));
}

/* Four hexadecimal digits, or "grease". */
static bool read_number(struct span w, uint16_t *out)
{
	unsigned v = 0;

	if (is_word(w, "grease")) {
		*out = FINGERPRINT_GREASE;
		return true;
	}
	if (w.n != 4)
		return false;
	for (size_t i = 0; i < w.n; i++) {
		int d = digit(w.p[i]);

		if (d < 0)
			return false;
		v = v << 4 | (unsigned)d;
	}
	*out = (uint16_t)v;
	return true;
}

/* Numbers to the end of the line, after the *@n that there are. NULL or what is wrong. */
static const char *read_numbers(struct span *line, uint16_t *out, uint8_t *n, size_t max)
{
	struct span w;

	while ((w = next_word(line)).n > 0) {
		if (*n == max)
			return "too many numbers";
		if (!read_number(w, &out[(*n)++]))
			return "expected four hexadecimal digits or grease";
	}
	return *n ? NULL : "expected numbers";
}

static const char *read_body(struct span w, struct span *line, struct fingerprint_extension *e)
{
	for (; w.n > 0; w = next_word(line)) {
		if (w.n % 2)
			return "expected bytes of two hexadecimal digits";
		for (size_t i = 0; i < w.n; i += 2) {
			int hi = digit(w.p[i]), lo = digit(w.p[i + 1]);

			if (hi < 0 || lo < 0)
				return "expected bytes of two hexadecimal digits";
			if (e->n == FINGERPRINT_BODY_MAX)
				return "the extension is too long";
			e->body[e->n++] = (uint8_t)(hi << 4 | lo);
		}
	}
	return NULL;
}

static bool read_decimal(struct span w, uint16_t max, uint16_t *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return false;
		v = v * 10 + (w.p[i] - (unsigned)'0');
		if (v > max)
			return false;
	}
	*out = (uint16_t)v;
	return w.n > 0 && v > 0;
}

/* "1,3 239": AEADs, then lengths. */
static const char *read_ech(struct span *line, struct fingerprint_extension *e)
{
	struct span w = next_word(line);

	for (size_t i = 0; i <= w.n; i += 2) {
		if (i >= w.n || (w.p[i] < '1' || w.p[i] > '3') || e->n_aeads == 2 ||
		    (i + 1 < w.n && w.p[i + 1] != ','))
			return "expected one or two AEADs (1 to 3) with a comma between them";
		e->aeads[e->n_aeads++] = (uint8_t)(w.p[i] - '0');
		if (i + 1 == w.n)
			break;
	}
	while ((w = next_word(line)).n > 0) {
		if (e->n == FINGERPRINT_LIST_MAX)
			return "too many lengths";
		if (!read_decimal(w, 512, &e->list[e->n++]))
			return "expected lengths of 1 to 512";
	}
	return e->n ? NULL : "expected lengths";
}

static const char *read_filled(struct span *line, struct fingerprint_extension *e)
{
	switch (e->kind) {
	case FINGERPRINT_GROUPS:
	case FINGERPRINT_SHARES:
	case FINGERPRINT_VERSIONS:
		return read_numbers(line, e->list, &e->n, FINGERPRINT_LIST_MAX);
	case FINGERPRINT_ECH:
		return read_ech(line, e);
	default:
		return next_word(line).n ? "nothing may follow" : NULL;
	}
}

static const char *read_extension(struct fingerprint *fp, struct span *line)
{
	static const char *const kinds[] = {
		[FINGERPRINT_SNI] = "sni",	 [FINGERPRINT_ALPN] = "alpn",
		[FINGERPRINT_ALPS] = "alps",	 [FINGERPRINT_GROUPS] = "groups",
		[FINGERPRINT_SHARES] = "shares", [FINGERPRINT_VERSIONS] = "versions",
		[FINGERPRINT_ECH] = "ech",	 [FINGERPRINT_PADDING] = "padding",
	};
	struct fingerprint_extension *e = &fp->extensions[fp->n_extensions];
	struct span w = next_word(line);

	if (fp->n_extensions == FINGERPRINT_EXTENSIONS_MAX)
		return "too many extensions";
	if (!read_number(w, &e->type))
		return "expected a type: four hexadecimal digits or grease";
	fp->n_extensions++;
	w = next_word(line);
	if (e->type == FINGERPRINT_GREASE) {
		e->kind = FINGERPRINT_GREASED;
		return read_body(w, line, e);
	}
	for (uint8_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!kinds[i] || !is_word(w, kinds[i]))
			continue;
		for (size_t k = 0; k + 1 < fp->n_extensions; k++)
			if (fp->extensions[k].kind == i)
				return "a second extension of this kind";
		e->kind = i;
		return read_filled(line, e);
	}
	return read_body(w, line, e);
}

static const char *read_hash(char *out, size_t len, struct span *line)
{
	struct span w = next_word(line);

	if (w.n != len || next_word(line).n > 0)
		return "expected a fingerprint of the right length";
	memcpy(out, w.p, len);
	out[len] = 0;
	return NULL;
}

struct reader {
	struct fingerprint fp;
	bool shuffling, shuffled;
};

static const char *read_line(struct reader *r, struct span line)
{
	struct fingerprint *fp = &r->fp;
	struct span w = next_word(&line);

	if (w.n == 0)
		return NULL;
	if (is_word(w, "suites"))
		return read_numbers(&line, fp->suites, &fp->n_suites, FINGERPRINT_SUITES_MAX);
	if (is_word(w, "extension"))
		return read_extension(fp, &line);
	if (is_word(w, "ja3"))
		return read_hash(fp->ja3, FINGERPRINT_JA3_LEN, &line);
	if (is_word(w, "ja4"))
		return read_hash(fp->ja4, FINGERPRINT_JA4_LEN, &line);
	if (is_word(w, "shuffle")) {
		if (r->shuffled)
			return "a second shuffle";
		r->shuffling = r->shuffled = true;
		fp->shuffle_from = fp->n_extensions;
		return NULL;
	}
	if (is_word(w, "end")) {
		if (!r->shuffling)
			return "end without shuffle";
		r->shuffling = false;
		fp->shuffle_to = fp->n_extensions;
		return NULL;
	}
	return "unknown word";
}

/* What every usable hello has. */
static const char *whole(const struct reader *r)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < r->fp.n_extensions; i++)
		kinds |= 1u << r->fp.extensions[i].kind;
	if (r->shuffling)
		return "shuffle without end";
	if (r->fp.n_suites == 0)
		return "no suites";
	if (!(kinds & 1u << FINGERPRINT_GROUPS) || !(kinds & 1u << FINGERPRINT_SHARES) ||
	    !(kinds & 1u << FINGERPRINT_VERSIONS))
		return "groups, shares or versions are missing";
	return NULL;
}

int fingerprint_parse(struct fingerprint *out, struct span text, struct fingerprint_fault *fault)
{
	struct reader r = {.shuffling = false};

	fault->line = 1;
	while (text.n > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;
		const uint8_t *hash = memchr(text.p, '#', n);

		fault->what = read_line(&r, span_of(text.p, hash ? (size_t)(hash - text.p) : n));
		if (fault->what)
			return -ERR_MALFORMED;
		if (end) {
			fault->line++;
			n++;
		}
		text = span_of(text.p + n, text.n - n);
	}
	fault->what = whole(&r);
	if (fault->what)
		return -ERR_MALFORMED;
	*out = r.fp;
	return 0;
}
