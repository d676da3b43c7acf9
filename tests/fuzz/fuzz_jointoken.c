/* Whatever decodes must encode to the same bytes; the line of it must parse to the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/jointoken.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void whole(const struct jointoken *t, const uint8_t *data, size_t used)
{
	static uint8_t room[JOINTOKEN_MAX];
	static char text[JOINTOKEN_TEXT_MAX];
	struct wr w = wr_of(room, sizeof(room));
	enum jointoken_fault fault;
	struct jointoken again;
	size_t at;

	if (jointoken_encode(&w, t) != 0)
		abort();
	/* A name that is an address written out comes back as the address. */
	if (w.n == used && memcmp(room, data, used) != 0)
		abort();
	if (jointoken_text(text, t) < 0 || jointoken_parse(&again, span_str(text), &fault, &at) != 0)
		abort();
	w = wr_of(room, sizeof(room));
	if (strcmp(again.node, t->node) != 0 || again.n_hubs != t->n_hubs ||
	    memcmp(again.secret, t->secret, sizeof(t->secret)) != 0 || jointoken_encode(&w, &again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum jointoken_fault fault;
	struct jointoken t;
	size_t at;
	ssize_t used = jointoken_decode(&t, span_of(data, n));

	if (used > 0)
		whole(&t, data, (size_t)used);
	if (jointoken_parse(&t, span_of(data, n), &fault, &at) == 0)
		whole(&t, NULL, 0);
	else if (fault == JOINTOKEN_GOOD || fault > JOINTOKEN_CONTENT)
		abort();
	return 0;
}
