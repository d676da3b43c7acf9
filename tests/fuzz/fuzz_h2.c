/* Frames of HTTP/2: what is taken lies in the input, and an answer is a frame itself. */
#include <stdlib.h>

#include "proto/h2.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	uint8_t answer[H2_HEADER_LEN + 8];

	while (in.n > 0) {
		struct wr w = wr_of(answer, sizeof(answer));
		struct h2_frame f, back;
		struct span content;
		unsigned status;
		ssize_t n = h2_frame_decode(&f, in);

		if (n <= 0)
			break;
		status = h2_status_decode(&f);
		must(status == 0 || (status >= 200 && status <= 500));
		must((size_t)n <= in.n && f.payload.n + H2_HEADER_LEN == (size_t)n);
		must(h2_answer_encode(&w, &f) == 0);
		if (f.type == H2_DATA && h2_data_decode(&content, &f) == 0)
			must(content.n == 0 || (content.p >= f.payload.p &&
						content.p + content.n <= f.payload.p + f.payload.n));
		must(w.n == 0 || h2_frame_decode(&back, span_of(answer, w.n)) == (ssize_t)w.n);
		in = span_of(in.p + n, in.n - (size_t)n);
	}
	return 0;
}
