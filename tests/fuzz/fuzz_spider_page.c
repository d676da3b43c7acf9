/* Any bytes as the body of a page: what comes out fits, whatever goes in. */
#include <stdlib.h>

#include "net/spider_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[4096];
	size_t n;

	if (size > 65536)
		return 0;
	n = spider_page_unpack(out, sizeof(out), span_of(data, size));
	if (n > sizeof(out) || (size == 0 && n > 0))
		abort();
	return 0;
}
