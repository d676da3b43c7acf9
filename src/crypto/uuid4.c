#include "crypto/uuid4.h"

#include "crypto/rand.h"

int uuid4_make(struct uuid *out)
{
	int err = rand_bytes(out->b, sizeof(out->b));

	out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x40);
	out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
	return err;
}
