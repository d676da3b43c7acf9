#!/bin/sh
# embed-fingerprints.sh FILE.fp...: a C table of the files as text, for
# fingerprint_text() of src/proto/fingerprint.h.
set -eu
cat <<'C'
/* Made by scripts/embed-fingerprints.sh of configs/fingerprints. */
#include <stddef.h>
#include <string.h>

#include "proto/fingerprint.h"

static const struct {
	const char *name, *text;
} texts[] = {
C
for f in "$@"; do
	printf '{"%s",\n' "$(basename "$f" .fp)"
	sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' "$f"
	printf '},\n'
done
cat <<'C'
};

struct span fingerprint_text(const char *name)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, name) == 0)
			return span_str(texts[i].text);
	return span_of(NULL, 0);
}

const char *fingerprint_name(size_t i)
{
	return i < sizeof(texts) / sizeof(texts[0]) ? texts[i].name : NULL;
}
C
