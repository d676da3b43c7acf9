#include "app/infile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/secret.h"

char *infile_load(const char *path, size_t max)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text = NULL;

	if (f && fstat(fileno(f), &st) == 0) {
		errno = EFBIG;
		text = (size_t)st.st_size < max ? calloc(1, (size_t)st.st_size + 1) : NULL;
		if (text && fread(text, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
			errno = EIO;
			free(text);
			text = NULL;
		}
	}
	if (f) {
		int e = errno;

		fclose(f);
		errno = e;
	}
	return text;
}

char *infile_slurp(const char *path, size_t max)
{
	char *text = infile_load(path, max);
	int e = errno;

	if (!text)
		fprintf(stderr, "error: %s: cannot be read: %s\n", path, strerror(e));
	errno = e;
	return text;
}

void infile_wipe(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}
