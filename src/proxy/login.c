#include "proxy/login.h"

#include "crypto/secret.h"

enum { FIELD_MAX = 255 };

/* Of one length for all texts, so that comparing tells nothing about it. */
struct padded {
	uint8_t len;
	uint8_t b[FIELD_MAX];
};

/* 1, or 0 for a text that is too long. */
static unsigned pad(struct padded *out, struct span s)
{
	memset(out, 0, sizeof(*out));
	if (s.n > FIELD_MAX)
		return 0;
	out->len = (uint8_t)s.n;
	if (s.n)
		memcpy(out->b, s.p, s.n);
	return 1;
}

static bool same(const struct padded *a, const struct padded *b)
{
	return secret_eq(a, b, sizeof(*a));
}

const struct conf_account *login_check(const struct conf_account *accounts, size_t n,
				       struct span user, struct span pass)
{
	struct padded name, word, his_name, his_word;
	const struct conf_account *found = NULL;
	/* All of them, whatever the first one says: hence & and not &&. */
	unsigned usable = pad(&name, user) & pad(&word, pass);

	for (size_t i = 0; i < n; i++) {
		const struct conf_account *a = &accounts[i];
		unsigned fits = pad(&his_name, span_str(a->user)) &
				pad(&his_word, span_str(a->pass));
		bool named = same(&name, &his_name), right = same(&word, &his_word);

		/* A later account of the same name takes the place of an earlier one. */
		if (named)
			found = right && fits ? a : NULL;
	}
	secret_wipe(&word, sizeof(word));
	secret_wipe(&his_word, sizeof(his_word));
	return usable ? found : NULL;
}
