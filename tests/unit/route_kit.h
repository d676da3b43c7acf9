/*
 * What the tests of src/route share: rules as literals, files of lists made on
 * the spot, complaints collected. Include after cmocka.h.
 */
#ifndef GARENNE_TESTS_ROUTE_KIT_H
#define GARENNE_TESTS_ROUTE_KIT_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "route/lists.h"
#include "route/router.h"

#define STRS(...)                                                                                  \
	((struct conf_strs){(const char *const[]){__VA_ARGS__},                                    \
			    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)})

#define PORTS(...)                                                                                 \
	((struct conf_ports){(const struct conf_port_range[]){__VA_ARGS__},                        \
			     sizeof((const struct conf_port_range[]){__VA_ARGS__}) /               \
				     sizeof(struct conf_port_range),                               \
			     true})

/* ---- complaints ---- */

struct kit_report {
	struct route_report r;
	char first_error[1200], first_warning[1200];
};

__attribute__((unused)) static void kit_msg(void *ctx, enum route_level level,
					    const struct conf_at *at, const char *text)
{
	struct kit_report *k = ctx;
	char *to = level == ROUTE_ERROR ? k->first_error : k->first_warning;

	(void)at;
	if (!to[0])
		snprintf(to, sizeof(k->first_error), "%s", text);
}

__attribute__((unused)) static void kit_report_init(struct kit_report *k)
{
	memset(k, 0, sizeof(*k));
	k->r.msg = kit_msg;
	k->r.ctx = k;
}

/* ---- files of lists ---- */

struct kit_bytes {
	uint8_t *p;
	size_t n;
};

__attribute__((unused)) static void kit_put(struct kit_bytes *b, const void *p, size_t n)
{
	b->p = realloc(b->p, b->n + n + 1);
	assert_non_null(b->p);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

__attribute__((unused)) static void kit_varint(struct kit_bytes *b, uint64_t v)
{
	do {
		uint8_t c = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));

		kit_put(b, &c, 1);
		v >>= 7;
	} while (v);
}

/* Field of type bytes; gives back the memory of @v when it is a message. */
__attribute__((unused)) static void kit_field(struct kit_bytes *b, unsigned number, const void *p,
					      size_t n)
{
	kit_varint(b, number << 3 | 2);
	kit_varint(b, n);
	kit_put(b, p, n);
}

__attribute__((unused)) static void kit_number(struct kit_bytes *b, unsigned number, uint64_t v)
{
	kit_varint(b, number << 3);
	kit_varint(b, v);
}

__attribute__((unused)) static void kit_message(struct kit_bytes *b, unsigned number,
						struct kit_bytes *m)
{
	kit_field(b, number, m->p, m->n);
	free(m->p);
	*m = (struct kit_bytes){0};
}

__attribute__((unused)) static void kit_cidr(struct kit_bytes *list, const char *text)
{
	struct kit_bytes m = {0};
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(text)), 0);
	kit_field(&m, 1, p.ip.b, p.ip.family == 4 ? 4 : 16);
	if (p.len)
		kit_number(&m, 2, p.len);
	kit_message(list, 2, &m);
}

/* @type as in the file: 0 substring, 1 regexp, 2 domain, 3 full; @attr may be NULL. */
__attribute__((unused)) static void kit_domain(struct kit_bytes *list, unsigned type,
					       const char *value, const char *attr1,
					       const char *attr2)
{
	const char *attrs[] = {attr1, attr2};
	struct kit_bytes m = {0};

	if (type)
		kit_number(&m, 1, type);
	kit_field(&m, 2, value, strlen(value));
	for (int i = 0; i < 2; i++) {
		struct kit_bytes a = {0};

		if (!attrs[i])
			continue;
		kit_field(&a, 1, attrs[i], strlen(attrs[i]));
		kit_number(&a, 2, 1);
		kit_message(&m, 3, &a);
	}
	kit_message(list, 2, &m);
}

/* A folder for the test; GARENNE_ASSETS points to it, nothing else is searched but the defaults. */
struct kit_folder {
	char path[64];
};

__attribute__((unused)) static void kit_folder_make(struct kit_folder *f)
{
	snprintf(f->path, sizeof(f->path), "/tmp/garenne-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	setenv("GARENNE_ASSETS", f->path, 1);
	unsetenv("XRAY_LOCATION_ASSET");
}

__attribute__((unused)) static void kit_folder_remove(struct kit_folder *f)
{
	DIR *d = opendir(f->path);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char path[400];

		snprintf(path, sizeof(path), "%s/%s", f->path, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(f->path);
	unsetenv("GARENNE_ASSETS");
}

/* Takes the memory of @b. */
__attribute__((unused)) static void kit_write(const struct kit_folder *f, const char *name,
					      struct kit_bytes *b)
{
	char path[400];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(b->p, 1, b->n, out), b->n);
	fclose(out);
	free(b->p);
	*b = (struct kit_bytes){0};
}

/* ---- flows ---- */

__attribute__((unused)) static struct ipport kit_ipport(const char *text)
{
	struct addr a;
	struct ipport out;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	assert_true(addr_to_ipport(&a, &out));
	return out;
}

__attribute__((unused)) static struct addr kit_addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	return a;
}

#endif
