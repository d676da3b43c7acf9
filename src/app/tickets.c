#include "app/tickets.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/cli.h"
#include "app/stamp.h"
#include "proto/jointicket.h"

enum { PATH_TEXT = 4096, ID = JOINTICKET_ID_TEXT - 1 };

static uint8_t *slurp(const char *path, size_t max, size_t *n)
{
	FILE *f = fopen(path, "re");
	uint8_t *b = f ? malloc(max + 1) : NULL;

	*n = b ? fread(b, 1, max + 1, f) : 0;
	if (f)
		fclose(f);
	if (b && *n <= max)
		return b;
	free(b);
	return NULL;
}

/* Opens "FOLDER/ID.END". */
static uint8_t *slurp_of(const char *folder, const char *name, const char *end, size_t max, size_t *n)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "%s/%.*s%s", folder, ID, name, end);
	return slurp(path, max, n);
}

static void print_one(const char *folder, const char *name)
{
	char when[STAMP_TEXT], from[64];
	struct jointicket t = {.expires_s = 0};
	struct joinmark m = {.node = "?"};
	size_t n;
	uint8_t *b = slurp_of(folder, name, ".ticket", JOINTICKET_MAX, &n);
	bool ticket = b && jointicket_decode(&t, span_of(b, n)) > 0, mark;

	free(b);
	b = slurp_of(folder, name, ".used", JOINMARK_MAX, &n);
	mark = b && joinmark_decode(&m, span_of(b, n)) > 0;
	free(b);
	printf("%s/%.8s...  %-16s ", folder, name, ticket ? t.node : m.node);
	if (mark)
		printf("used %s by %s%s\n", stamp_text(m.when_s, when),
		       ip_text(&m.from, from, sizeof(from)),
		       ticket ? ", who has not said yet that it has the file" : "");
	else if (ticket)
		printf("%s %s\n", t.expires_s > (uint64_t)time(NULL) ? "good until" : "expired",
		       stamp_text(t.expires_s, when));
	else
		printf("cannot be read, or is damaged\n");
}

static bool is_id(const char *name, const char *end)
{
	return strlen(name) == ID + strlen(end) && strspn(name, "0123456789abcdef") == ID &&
	       strcmp(name + ID, end) == 0;
}

int tickets_print(const char *folder, bool must, size_t *n)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	struct stat st;
	char path[PATH_TEXT];

	if (!d && (must || errno != ENOENT)) {
		fprintf(stderr, "error: %s: %s\n", folder, strerror(errno));
		return EXIT_FAILED;
	}
	while (d && (e = readdir(d)) != NULL) {
		/* One line for a ticket and its mark. */
		snprintf(path, sizeof(path), "%s/%.*s.ticket", folder, ID, e->d_name);
		if (!is_id(e->d_name, ".ticket") &&
		    !(is_id(e->d_name, ".used") && stat(path, &st) != 0))
			continue;
		print_one(folder, e->d_name);
		(*n)++;
	}
	if (d)
		closedir(d);
	return EXIT_OK;
}
