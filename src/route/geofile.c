/*
 * A file is a sequence of entries: the byte 0x0a, a length as varint, a body of
 * that length. The code of a list is the first field of its body in every
 * published file, and is looked for behind others only when it is not.
 */
#include "route/geofile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "proto/protobuf.h"
#include "route/ascii.h"
#include "route/strtab.h"

enum {
	FILES_MAX = 32,
	ENTRIES_MAX = 100000,
	ENTRY_TAG = 0x0a, /* field 1, bytes */
	CODE_FIELD = 1,
	CODE_MAX = 255,
	HEAD_MAX = 512, /* enough for tag, length and a code that comes first */
	FILE_MAX = 1 << 30,
	PLACES_MAX = 10,
};

struct entry {
	uint32_t at, len; /* with tag and length */
};

struct geofile {
	char *name; /* as asked for */
	char path[PATH_MAX];
	int fd;
	struct strtab codes; /* in lower case; the value is the place in @entries */
	struct entry *entries;
	uint32_t n, cap;
};

struct geofiles {
	struct geofile *v[FILES_MAX];
	size_t n;
	uint8_t *list; /* the one that was asked for last */
};

struct geofiles *geofiles_new(void)
{
	return calloc(1, sizeof(struct geofiles));
}

static void geofile_free(struct geofile *f)
{
	if (!f)
		return;
	if (f->fd != -1)
		close(f->fd);
	strtab_fini(&f->codes);
	free(f->entries);
	free(f->name);
	free(f);
}

void geofiles_free(struct geofiles *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		geofile_free(g->v[i]);
	free(g->list);
	free(g);
}

static const char *exe_folder(char *buf, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", buf, cap - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return buf;
}

/* The folders to look in, first one first; @exe keeps one of them. */
static size_t places(const char *out[PLACES_MAX], char *exe, size_t cap)
{
	static const char *const fixed[] = {
		"/usr/local/share/garenne", "/usr/share/garenne", "/usr/local/share/xray",
		"/usr/share/xray",	    "/opt/share/xray",	  "/usr/local/share/v2ray",
		"/usr/share/v2ray",
	};
	const char *ours = getenv("GARENNE_ASSETS"), *xray = getenv("XRAY_LOCATION_ASSET");
	size_t n = 0;

	if (ours && *ours)
		out[n++] = ours;
	if (!xray || !*xray)
		xray = exe_folder(exe, cap);
	if (xray)
		out[n++] = xray;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		out[n++] = fixed[i];
	return n;
}

/* Opens the first that exists; one that exists and cannot be opened is an error. */
static int find_file(struct geofile *f, char *why)
{
	const char *place[PLACES_MAX];
	char exe[PATH_MAX], tried[ROUTE_WHY_MAX / 2] = "";
	size_t n = places(place, exe, sizeof(exe)), len = 0;

	if (f->name[0] == '/') {
		place[0] = "";
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		int need = snprintf(f->path, sizeof(f->path), "%s%s%s", place[i],
				    place[i][0] ? "/" : "", f->name);

		if (need < 0 || (size_t)need >= sizeof(f->path))
			continue;
		f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (f->fd != -1)
			return 0;
		if (errno != ENOENT && errno != ENOTDIR) {
			snprintf(why, ROUTE_WHY_MAX, "failed to open %.100s > %.250s: %s", f->name,
				 f->path, strerror(errno));
			return -ERR_SYS;
		}
		if (len < sizeof(tried))
			len += (size_t)snprintf(tried + len, sizeof(tried) - len, "%s%s",
						len ? ", " : "", place[i]);
	}
	snprintf(why, ROUTE_WHY_MAX, "failed to open %.100s > no such file in %s", f->name,
		 tried[0] ? tried : "/");
	return -ERR_SYS;
}

/* 0 or a positive errno; a file that ends before is EIO. */
static int read_at(int fd, uint64_t at, uint8_t *to, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == -1 ? errno : EIO;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int broken(const struct geofile *f, uint64_t at, char *why)
{
	snprintf(why, ROUTE_WHY_MAX, "failed to read %.300s > not a file of lists (byte %llu)",
		 f->path, (unsigned long long)at);
	return -ERR_MALFORMED;
}

static int unreadable(const struct geofile *f, int sys_errno, char *why)
{
	snprintf(why, ROUTE_WHY_MAX, "failed to read %.300s > %s", f->path, strerror(sys_errno));
	return -ERR_SYS;
}

static bool read_varint(struct rd *r, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = rd_u8(r);

		*out |= (uint64_t)(b & 0x7f) << shift;
		if (r->bad || b < 0x80)
			return !r->bad;
	}
	return false;
}

/* The code, when it is the first field and wholly in @body, which may be cut. */
static bool first_code(struct rd body, struct span *code)
{
	uint64_t len;

	if (rd_u8(&body) != ENTRY_TAG || !read_varint(&body, &len) || len > body.n)
		return false;
	*code = rd_take(&body, (size_t)len);
	return true;
}

/* The code anywhere in a whole body; the last one counts, as for any field. */
static int any_code(struct span body, struct span *code)
{
	struct rd r = rd_of(body);
	struct protobuf_field field;
	int rc;

	*code = span_of(NULL, 0);
	while ((rc = protobuf_read_field(&r, &field)) == 1)
		if (field.number == CODE_FIELD && field.type == PROTOBUF_BYTES)
			*code = field.bytes;
	return rc;
}

static int entry_add(struct geofile *f, struct entry e, struct span code)
{
	uint8_t low[CODE_MAX];
	int rc;

	if (code.n > CODE_MAX)
		return 0; /* nobody can ask for it */
	if (f->n == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 64;
		struct entry *entries;

		if (f->n >= ENTRIES_MAX)
			return -ERR_LIMIT;
		entries = realloc(f->entries, cap * sizeof(*entries));
		if (!entries)
			return -ERR_NOMEM;
		f->entries = entries;
		f->cap = cap;
	}
	rc = strtab_put(&f->codes, ascii_lower_copy(low, code), f->n);
	if (rc < 0)
		return rc;
	f->entries[f->n++] = e;
	return 0;
}

static int index_long_entry(struct geofile *f, struct entry e, size_t head, char *why)
{
	uint8_t *body = malloc(e.len);
	struct span code;
	int err;

	if (!body)
		return -ERR_NOMEM;
	err = read_at(f->fd, e.at, body, e.len);
	if (err)
		err = unreadable(f, err, why);
	else if (any_code(span_of(body + head, e.len - head), &code) != 0)
		err = broken(f, e.at, why);
	else
		err = entry_add(f, e, code);
	free(body);
	return err;
}

/* Notes where each list is. */
static int index_file(struct geofile *f, uint64_t size, char *why)
{
	uint8_t head[HEAD_MAX];

	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < HEAD_MAX ? (size_t)(size - at) : HEAD_MAX;
		int err = read_at(f->fd, at, head, n);
		struct rd r = rd_of(span_of(head, n));
		struct entry e = {.at = (uint32_t)at};
		struct span code;
		uint64_t len;

		if (err)
			return unreadable(f, err, why);
		if (rd_u8(&r) != ENTRY_TAG || !read_varint(&r, &len) || len > size - at - (n - r.n))
			return broken(f, at, why);
		e.len = (uint32_t)(n - r.n + len);
		if (first_code(rd_of(span_of(r.p, len < r.n ? (size_t)len : r.n)), &code))
			err = entry_add(f, e, code);
		else
			err = index_long_entry(f, e, n - r.n, why);
		if (err)
			return err;
		at += e.len;
	}
	return strtab_seal(&f->codes);
}

static int open_file(struct geofile *f, char *why)
{
	struct stat st;
	int err = find_file(f, why);

	if (err)
		return err;
	if (fstat(f->fd, &st) == -1)
		return unreadable(f, errno, why);
	if (!S_ISREG(st.st_mode))
		return unreadable(f, EINVAL, why);
	if (st.st_size > FILE_MAX) {
		snprintf(why, ROUTE_WHY_MAX, "failed to read %.300s > larger than 1 GiB", f->path);
		return -ERR_LIMIT;
	}
	return index_file(f, (uint64_t)st.st_size, why);
}

static int get_file(struct geofiles *g, struct span name, struct geofile **out, char *why)
{
	struct geofile *f;
	int err;

	for (size_t i = 0; i < g->n; i++) {
		if (span_eq(span_str(g->v[i]->name), name)) {
			*out = g->v[i];
			return 0;
		}
	}
	if (g->n == FILES_MAX) {
		snprintf(why, ROUTE_WHY_MAX, "more than %d files of lists", FILES_MAX);
		return -ERR_LIMIT;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ERR_NOMEM;
	f->fd = -1;
	f->name = strndup((const char *)name.p, name.n);
	err = f->name ? open_file(f, why) : -ERR_NOMEM;
	if (err) {
		geofile_free(f);
		return err;
	}
	g->v[g->n++] = f;
	*out = f;
	return 0;
}

static int find_entry(const struct geofile *f, struct span code, struct entry *out, char *why)
{
	uint8_t low[CODE_MAX]; /* upper case in the message: so it is written in the files */
	struct span key;
	int i = STRTAB_NONE;

	if (code.n <= CODE_MAX) {
		key = ascii_lower_copy(low, code);
		i = strtab_find(&f->codes, key, strtab_hash(key));
	}
	if (i >= 0) {
		*out = f->entries[i];
		return 0;
	}
	key.n = code.n < 100 ? code.n : 100;
	for (size_t k = 0; k < key.n; k++)
		low[k] = (uint8_t)(code.p[k] >= 'a' && code.p[k] <= 'z' ? code.p[k] - 'a' + 'A'
									: code.p[k]);
	snprintf(why, ROUTE_WHY_MAX, "failed to check code %.*s from %.60s > EOF (not in %.250s)",
		 (int)key.n, (const char *)low, f->name, f->path);
	return -ERR_EOF;
}

int geofiles_list(struct geofiles *g, struct span file, struct span code, struct span *list,
		  char why[ROUTE_WHY_MAX])
{
	struct geofile *f;
	struct entry e;
	uint8_t *bytes;
	int err;

	snprintf(why, ROUTE_WHY_MAX, "out of memory or too many lists");
	err = get_file(g, file, &f, why);
	if (!err)
		err = find_entry(f, code, &e, why);
	if (err)
		return err;
	bytes = realloc(g->list, e.len);
	if (!bytes)
		return -ERR_NOMEM;
	g->list = bytes;
	err = read_at(f->fd, e.at, bytes, e.len);
	if (err)
		return unreadable(f, err, why);
	*list = span_of(bytes, e.len);
	return 0;
}
