#include "route/domkey.h"

#include "route/ascii.h"
#include "route/strtab.h"

bool domkey_init(struct domkey *k, struct span name)
{
	uint64_t h = STRTAB_HASH_START;

	if (name.n == 0 || name.n > ADDR_NAME_MAX)
		return false;
	k->len = (uint16_t)name.n;
	k->n_suffixes = 0;
	k->name[name.n] = '\0';
	for (size_t i = name.n; i > 0; i--) {
		uint8_t c = ascii_lower(name.p[i - 1]);

		k->name[i - 1] = (char)c;
		if (c == '.' && i < name.n) {
			k->at[k->n_suffixes] = (uint8_t)i;
			k->suffix_hash[k->n_suffixes++] = strtab_hash_end(h);
		}
		h = strtab_hash_step(h, c);
	}
	k->hash = strtab_hash_end(h);
	return true;
}
