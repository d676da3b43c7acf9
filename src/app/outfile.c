#include "app/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static int fail(struct outfile *o, const char *path)
{
	fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
	outfile_drop(o);
	return -ERR_SYS;
}

static int fail_exists(struct outfile *o)
{
	fprintf(stderr, "error: %s: there is such a file already; it stays as it is\n", o->path);
	outfile_drop(o);
	return -ERR_SYS;
}

int outfile_open(struct outfile *o, const char *path, bool replace)
{
	char copy[OUTFILE_PATH_MAX], *dir;
	struct stat st;

	o->fd = -1;
	o->replace = replace;
	if ((size_t)snprintf(o->path, sizeof(o->path), "%s", path) >= sizeof(o->path)) {
		errno = ENAMETOOLONG;
		return fail(o, path);
	}
	memcpy(copy, o->path, sizeof(copy));
	dir = dirname(copy);
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return fail(o, dir);
	if (lstat(path, &st) == 0 && !replace)
		return fail_exists(o);
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return fail(o, path);
	}
	snprintf(o->temp, sizeof(o->temp), "%s.new", path);
	unlink(o->temp);
	o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return o->fd == -1 ? fail(o, o->temp) : 0;
}

static bool put(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
	}
	return fsync(fd) == 0;
}

/* Some file systems cannot promise to replace nothing: then the last look must do. */
static int move(const struct outfile *o)
{
	if (o->replace)
		return rename(o->temp, o->path);
	if (renameat2(AT_FDCWD, o->temp, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (access(o->path, F_OK) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(o->temp, o->path);
}

int outfile_commit(struct outfile *o, struct span bytes)
{
	if (!put(o->fd, bytes))
		return fail(o, o->temp);
	if (move(o) != 0)
		return errno == EEXIST ? fail_exists(o) : fail(o, o->path);
	close(o->fd);
	o->fd = -1;
	return 0;
}

void outfile_drop(struct outfile *o)
{
	if (o->fd == -1)
		return;
	close(o->fd);
	unlink(o->temp);
	o->fd = -1;
}

int outfile_write(const char *path, struct span bytes, bool replace)
{
	struct outfile o;
	int err = outfile_open(&o, path, replace);

	return err ? err : outfile_commit(&o, bytes);
}
