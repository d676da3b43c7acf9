#include "app/keytext.h"

#include <stdio.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/secret.h"

enum { READ_MAX = 64, TEXT_MAX = (KEYTEXT_MAX + 2) / 3 * 4 + 1 };

int keytext_read(uint8_t *key, size_t n, const char *text)
{
	const unsigned both[] = {BASE64_STD, BASE64_URL};
	uint8_t raw[READ_MAX];
	int err = -ERR_MALFORMED;

	for (size_t i = 0; i < 2 && err != 0; i++)
		if (base64_decode(raw, sizeof(raw), span_str(text), both[i] | BASE64_ANY_PAD,
				  NULL) == (ssize_t)n) {
			memcpy(key, raw, n);
			err = 0;
		}
	secret_wipe(raw, sizeof(raw));
	return err;
}

void keytext_print(const char *name, struct span key, unsigned form)
{
	char text[TEXT_MAX];

	base64_encode(text, sizeof(text), key, form);
	printf("%s: %s\n", name, text);
	secret_wipe(text, sizeof(text));
}
