/* Passwords and method names as a file may hold them; the first byte chooses the method. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/ss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ss_chain chain = {.n = 99};
	struct ss_note note = {0};
	struct ss_key key;
	const struct ss_method *m;
	char text[128];
	struct span in;
	int err;

	if (size == 0)
		return 0;
	in = span_of(data + 1, size - 1);
	m = ss_method_find(in);
	if (m && m->key_len != aead_key_len(m->aead))
		abort();
	m = ss_method_at(data[0] % 7);
	err = ss_chain_from_password(&chain, m, in, &note);
	if (err == 0 && (chain.n < 1 || chain.n > SS_CHAIN_MAX || (!m->identity && chain.n != 1)))
		abort();
	if (err != 0 && (chain.n != 99 || note.kind == SS_NOTE_NONE || note.at > in.n))
		abort();
	if (strlen(ss_note_text(&note, text, sizeof(text))) == 0)
		abort();
	if (ss_key_from_password(&key, m, in, NULL) == 0 && chain.n == 1 &&
	    memcmp(key.b, chain.key[0].b, m->key_len) != 0)
		abort();
	ss_chain_wipe(&chain);
	return 0;
}
