#include "proto/httpchunk.h"

#include "base/err.h"

enum state {
	SIZE = 0,  /* digits of a size */
	EXTENSION, /* whatever stands behind them */
	SIZE_LF,   /* CR was there */
	DATA,	   /* @left bytes */
	DATA_CR,   /* the line end behind the data */
	DATA_LF,
	FIELD_BEGIN, /* first byte of a line behind the last chunk */
	FIELD,	     /* the rest of such a line */
	FIELD_LF,    /* its end */
	LAST_LF,     /* the end of the empty line */
	DONE,
};

void httpchunk_init(struct httpchunk *c)
{
	*c = (struct httpchunk){.state = SIZE};
}

bool httpchunk_done(const struct httpchunk *c)
{
	return c->state == DONE;
}

static int hex_digit(uint8_t b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* One more byte of a size line. The next state, or -ERR_MALFORMED. */
static int step_size(struct httpchunk *c, uint8_t b)
{
	int digit = hex_digit(b);

	if (digit >= 0) {
		if (c->digits == 16)
			return -ERR_MALFORMED;
		c->digits++;
		c->left = c->left << 4 | (unsigned)digit;
		return SIZE;
	}
	if (c->digits == 0)
		return -ERR_MALFORMED;
	if (b == '\r')
		return SIZE_LF;
	return b == ';' || b == ' ' || b == '\t' ? EXTENSION : -ERR_MALFORMED;
}

/* Text of a line: control characters other than the line's end have no business there. */
static int step_text(uint8_t b, enum state same, enum state after_cr)
{
	if (b == '\r')
		return after_cr;
	return (b >= 0x20 && b != 0x7f) || b == '\t' ? (int)same : -ERR_MALFORMED;
}

static int step_lf(uint8_t b, enum state next)
{
	return b == '\n' ? (int)next : -ERR_MALFORMED;
}

/* One byte that is not data. */
static int step(struct httpchunk *c, uint8_t b)
{
	switch ((enum state)c->state) {
	case SIZE:
		return step_size(c, b);
	case EXTENSION:
		return step_text(b, EXTENSION, SIZE_LF);
	case SIZE_LF:
		c->digits = 0;
		return step_lf(b, c->left ? DATA : FIELD_BEGIN);
	case DATA_CR:
		return b == '\r' ? DATA_LF : -ERR_MALFORMED;
	case DATA_LF:
		return step_lf(b, SIZE);
	case FIELD_BEGIN:
		return b == '\r' ? LAST_LF : step_text(b, FIELD, FIELD_LF);
	case FIELD:
		return step_text(b, FIELD, FIELD_LF);
	case FIELD_LF:
		return step_lf(b, FIELD_BEGIN);
	case LAST_LF:
		return step_lf(b, DONE);
	case DATA:
	case DONE:
		break;
	}
	return -ERR_MALFORMED;
}

ssize_t httpchunk_feed(struct httpchunk *c, struct span in)
{
	size_t at = 0;

	while (at < in.n && c->state != DONE) {
		if (c->state == DATA) {
			size_t n = in.n - at < c->left ? in.n - at : (size_t)c->left;

			at += n;
			c->left -= n;
			c->idle = 0;
			if (c->left == 0)
				c->state = DATA_CR;
			continue;
		}
		int next = step(c, in.p[at++]);

		if (next < 0)
			return next;
		if (++c->idle > HTTPCHUNK_LINE_MAX)
			return -ERR_LIMIT;
		c->state = (uint8_t)next;
	}
	return (ssize_t)at;
}
