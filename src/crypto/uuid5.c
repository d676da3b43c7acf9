#include "crypto/uuid5.h"

#include "base/err.h"
#include "crypto/sha.h"

enum { TEXT_MAX = 30 };

int uuid5_from_text(struct uuid *out, struct span text)
{
	static const uint8_t namespace[UUID_LEN];
	struct span parts[2] = {span_of(namespace, UUID_LEN), text};
	uint8_t h[SHA1_LEN];
	int err;

	if (text.n == 0 || text.n > TEXT_MAX)
		return -ERR_MALFORMED;
	err = sha_digest(SHA_ALG_1, h, parts, 2);
	if (err != 0)
		return err;
	memcpy(out->b, h, UUID_LEN);
	out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x50);
	out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
	return 0;
}

int uuid5_parse(struct uuid *out, struct span text)
{
	return text.n <= TEXT_MAX ? uuid5_from_text(out, text) : uuid_parse(out, text);
}
