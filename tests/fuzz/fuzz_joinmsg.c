/* Requests and answers of joining: whatever decodes must encode to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/joinmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t room[JOINMSG_REQUEST_LEN];
	struct wr w = wr_of(room, sizeof(room));
	struct span in = span_of(data, n);
	struct joinmsg_request q;
	struct joinmsg_answer a;
	ssize_t used = joinmsg_request_decode(&q, in);

	if (used > 0 && (joinmsg_request_encode(&w, &q) != 0 || (ssize_t)w.n != used ||
			 memcmp(room, data, w.n) != 0))
		abort();
	used = joinmsg_answer_decode(&a, in);
	if (used > (ssize_t)n)
		abort();
	w = wr_of(room, sizeof(room));
	if (used > 0 && (joinmsg_answer_encode(&w, &a) != 0 || w.n + a.sealed.n != (size_t)used ||
			 memcmp(room, data, w.n) != 0))
		abort();
	return 0;
}
