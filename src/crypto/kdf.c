#include "crypto/kdf.h"

#include "base/err.h"
#include "crypto/md5.h"
#include "crypto/secret.h"

int kdf_extract(enum sha_alg alg, uint8_t *prk, struct span salt, struct span ikm)
{
	return sha_hmac(alg, prk, salt, &ikm,
			1); /* no salt: HMAC pads with zeros as the RFC asks */
}

int kdf_expand(enum sha_alg alg, uint8_t *out, size_t n, struct span prk, struct span info)
{
	size_t len = sha_len(alg);
	uint8_t t[SHA_LEN_MAX], count = 0;
	int err = 0;

	if (n > 255 * len)
		return -ERR_LIMIT;
	while (n > 0 && err == 0) {
		size_t part = n < len ? n : len;
		struct span in[3] = {span_of(t, count ? len : 0), info, span_of(&count, 1)};

		count++;
		err = sha_hmac(alg, t, prk, in, 3);
		if (err == 0)
			memcpy(out, t, part);
		out += part;
		n -= part;
	}
	secret_wipe(t, sizeof(t));
	return err;
}

int kdf_hkdf(enum sha_alg alg, uint8_t *out, size_t n, struct span ikm, struct span salt,
	     struct span info)
{
	uint8_t prk[SHA_LEN_MAX];
	int err = kdf_extract(alg, prk, salt, ikm);

	if (err == 0)
		err = kdf_expand(alg, out, n, span_of(prk, sha_len(alg)), info);
	secret_wipe(prk, sizeof(prk));
	return err;
}

int kdf_expand_label(enum sha_alg alg, uint8_t *out, size_t n, struct span prk, const char *label,
		     struct span context)
{
	static const char prefix[] = "tls13 ";
	struct span name = span_str(label);
	uint8_t info[2 + 1 + 255 + 1 + 255];
	struct wr w = wr_of(info, sizeof(info));

	if (n > 0xffff || name.n > 255 - (sizeof(prefix) - 1) || context.n > 255)
		return -ERR_LIMIT;
	wr_u16(&w, (unsigned)n);
	wr_u8(&w, (unsigned)(sizeof(prefix) - 1 + name.n));
	wr_bytes(&w, prefix, sizeof(prefix) - 1);
	wr_bytes(&w, name.p, name.n);
	wr_u8(&w, (unsigned)context.n);
	wr_bytes(&w, context.p, context.n);
	return kdf_expand(alg, out, n, prk, span_of(info, w.n));
}

void kdf_bytes_to_key(uint8_t *out, size_t n, struct span password)
{
	uint8_t d[MD5_LEN];
	size_t done = 0;

	while (done < n) {
		size_t part = n - done < MD5_LEN ? n - done : MD5_LEN;
		struct span in[2] = {span_of(d, done ? MD5_LEN : 0), password};

		md5(d, in, 2);
		memcpy(out + done, d, part);
		done += part;
	}
	secret_wipe(d, sizeof(d));
}
