#include "crypto/hchacha.h"

#include "crypto/secret.h"
#include "crypto/words.h"

static void quarter(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = word_rotl(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = word_rotl(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = word_rotl(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = word_rotl(s[b] ^ s[c], 7);
}

void hchacha20(uint8_t out[32], const uint8_t key[32], const uint8_t nonce[HCHACHA_NONCE])
{
	/* "expand 32-byte k" */
	uint32_t s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

	for (unsigned i = 0; i < 8; i++)
		s[4 + i] = word_le32(key + 4 * i);
	for (unsigned i = 0; i < 4; i++)
		s[12 + i] = word_le32(nonce + 4 * i);
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned col = 0; col < 4; col++)
			quarter(s, col, 4 + col, 8 + col, 12 + col);
		for (unsigned col = 0; col < 4; col++)
			quarter(s, col, 4 + (col + 1) % 4, 8 + (col + 2) % 4, 12 + (col + 3) % 4);
	}
	for (unsigned i = 0; i < 32; i++) { /* words 0..3 and 12..15, without the final sum */
		unsigned word = i < 16 ? i / 4 : 8 + i / 4;

		out[i] = (uint8_t)(s[word] >> (8 * (i % 4)));
	}
	secret_wipe(s, sizeof(s));
}
