/*
 * A file of named lists: the first line is the code that is asked for, the rest
 * the file. Its index is made, the list looked up, and every entry read both as
 * a prefix and as a domain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/geodat.h"
#include "route/geofile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_entries(struct span list)
{
	struct geodat_domain d;
	struct geodat_list l;
	struct rd r;
	struct prefix p;

	r = rd_of(list);
	if (geodat_next_list(&r, &l) == 1)
		while (geodat_next_prefix(&l, &p) == 1)
			if (p.ip.family && p.len > (p.ip.family == 4 ? 32 : 128))
				abort();
	r = rd_of(list);
	if (geodat_next_list(&r, &l) == 1)
		while (geodat_next_domain(&l, &d) == 1)
			if (geodat_has_attribute(&d, span_str("cn")) && d.message.n < 4)
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size ? memchr(data, '\n', size) : NULL;
	int fd = nl ? memfd_create("lists", MFD_CLOEXEC) : -1;
	char path[64], why[ROUTE_WHY_MAX];
	struct geofiles *g;
	struct span code, list;
	size_t left;

	if (fd == -1)
		return 0;
	code = span_of(data, (size_t)(nl - data));
	left = size - code.n - 1;
	if (left > 0 && write(fd, nl + 1, left) != (ssize_t)left)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	g = geofiles_new();
	if (!g)
		abort();
	if (geofiles_list(g, span_str(path), code, &list, why) == 0)
		read_entries(list);
	geofiles_free(g);
	close(fd);
	return 0;
}
