#include "crypto/rand.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/rand.h>

#include "base/err.h"

enum { FILL_BUFFER = 1024 };

static _Thread_local struct {
	uint8_t b[FILL_BUFFER];
	size_t left;
} filler;

/* The kernel as a second chance: libcrypto's generator can fail for want of memory. */
static int from_kernel(uint8_t *out, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(out, n < 256 ? n : 256, 0);

		if (got == -1) {
			if (errno == EINTR)
				continue;
			return -ERR_SYS;
		}
		out += got;
		n -= (size_t)got;
	}
	return 0;
}

int rand_bytes(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		size_t part = n < 65536 ? n : 65536;

		if (RAND_bytes(p, (int)part) != 1 && from_kernel(p, part) != 0) {
			memset(out, 0, (size_t)(p - (uint8_t *)out) + n);
			return -ERR_SYS;
		}
		p += part;
		n -= part;
	}
	return 0;
}

void rand_fill(void *out, size_t n)
{
	uint8_t *p = out;

	if (n >= FILL_BUFFER / 2) { /* buffering would only add a copy */
		if (rand_bytes(out, n) != 0)
			memset(out, 0, n);
		return;
	}
	if (filler.left < n) {
		if (rand_bytes(filler.b, sizeof(filler.b)) != 0) {
			memset(out, 0, n);
			return;
		}
		filler.left = sizeof(filler.b);
	}
	filler.left -= n;
	memcpy(p, filler.b + filler.left, n);
	memset(filler.b + filler.left, 0, n);
}

uint32_t rand_below(uint32_t bound)
{
	/* values below 2^32 mod bound would make small results more likely */
	uint32_t unfair = (0U - bound) % bound;
	uint32_t v = 0;

	/* each round fails with less than one half; the limit is for a dead generator */
	for (int i = 0; i < 64; i++) {
		rand_fill(&v, sizeof(v));
		if (v >= unfair)
			break;
	}
	return v % bound;
}
