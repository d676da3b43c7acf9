#include "net/sock_unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { BACKLOG = 4096 };

bool sock_unix_is(const char *text)
{
	return text[0] == '/' || text[0] == '@';
}

static int parse_abstract(struct sock_unix *u, const char *name)
{
	bool padded = name[0] == '@';
	size_t n;

	if (padded)
		name++;
	n = strlen(name);
	if (n == 0 || n >= sizeof(u->sa.sun_path))
		return -ERR_MALFORMED;
	memcpy(u->sa.sun_path + 1, name, n);
	u->len = padded ? (socklen_t)sizeof(u->sa)
			: (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
	return 0;
}

/* Octal digits only, and only permission bits. */
static int parse_mode(const char *s, int *mode)
{
	int m = 0;

	if (!*s)
		return -ERR_MALFORMED;
	for (; *s; s++) {
		if (*s < '0' || *s > '7' || m > 0777)
			return -ERR_MALFORMED;
		m = m * 8 + (*s - '0');
	}
	if (m > 0777)
		return -ERR_MALFORMED;
	*mode = m;
	return 0;
}

int sock_unix_parse(struct sock_unix *out, const char *text)
{
	struct sock_unix u = {.sa.sun_family = AF_UNIX, .mode = -1};
	const char *comma;
	size_t n;

	if (text[0] == '@') {
		int err = parse_abstract(&u, text + 1);

		if (err == 0)
			*out = u;
		return err;
	}
	comma = strchr(text, ',');
	n = comma ? (size_t)(comma - text) : strlen(text);
	if (n == 0 || n >= sizeof(u.sa.sun_path))
		return -ERR_MALFORMED;
	if (comma && parse_mode(comma + 1, &u.mode) != 0)
		return -ERR_MALFORMED;
	memcpy(u.sa.sun_path, text, n);
	u.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	*out = u;
	return 0;
}

static int fail(struct sock_fail *f, const char *op)
{
	*f = (struct sock_fail){op, errno};
	return -(int)err_from_errno(errno);
}

int sock_unix_dial(struct sock_fail *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd == -1 ? fail(f, "socket") : fd;
}

/* True when the file at @u is a socket that nobody listens on; it is then gone. */
static bool removed_stale(const struct sock_unix *u)
{
	struct sock_fail f;
	struct stat st;
	int fd, got, e;

	if (lstat(u->sa.sun_path, &st) == -1 || !S_ISSOCK(st.st_mode))
		return false;
	fd = sock_unix_dial(&f);
	if (fd < 0)
		return false;
	got = connect(fd, (const struct sockaddr *)&u->sa, u->len);
	e = errno;
	close(fd);
	return got == -1 && e == ECONNREFUSED && unlink(u->sa.sun_path) == 0;
}

static int bind_unix(int fd, const struct sock_unix *u, struct sock_fail *f)
{
	const struct sockaddr *sa = (const struct sockaddr *)&u->sa;
	bool file = u->sa.sun_path[0] != 0;

	/* The file is made with the socket's own mode less the umask: never too open in between. */
	if (file && u->mode != -1 && fchmod(fd, (mode_t)u->mode) == -1)
		return fail(f, "chmod");
	if (bind(fd, sa, u->len) == -1) {
		if (errno != EADDRINUSE || !file)
			return fail(f, "bind");
		if (!removed_stale(u)) {
			errno = EADDRINUSE;
			return fail(f, "bind");
		}
		if (bind(fd, sa, u->len) == -1)
			return fail(f, "bind");
	}
	if (file && u->mode != -1 && chmod(u->sa.sun_path, (mode_t)u->mode) == -1)
		return fail(f, "chmod");
	return 0;
}

int sock_unix_listen(const char *text, struct sock_unix_file *file, char why[NET_WHY_MAX])
{
	char what[160];
	struct sock_unix u;
	struct sock_fail f;
	struct stat st;
	int fd, err;

	memset(file, 0, sizeof(*file));
	snprintf(what, sizeof(what), "listen unix %.140s", text);
	if (sock_unix_parse(&u, text) != 0) {
		snprintf(why, NET_WHY_MAX, "%s: not a name for a socket", what);
		return -ERR_MALFORMED;
	}
	fd = sock_unix_dial(&f);
	if (fd < 0) {
		err = fd;
		goto fail_text;
	}
	err = bind_unix(fd, &u, &f);
	if (err)
		goto fail_fd;
	if (u.sa.sun_path[0] && lstat(u.sa.sun_path, &st) == 0) {
		memcpy(file->path, u.sa.sun_path, sizeof(file->path));
		file->dev = st.st_dev;
		file->ino = st.st_ino;
	}
	if (listen(fd, BACKLOG) == -1) {
		err = fail(&f, "listen");
		sock_unix_remove(file);
		goto fail_fd;
	}
	return fd;

fail_fd:
	close(fd);
fail_text:
	sock_fail_text(&f, what, why, NET_WHY_MAX);
	return err;
}

void sock_unix_remove(struct sock_unix_file *file)
{
	struct stat st;

	if (file->path[0] && lstat(file->path, &st) == 0 && st.st_dev == file->dev &&
	    st.st_ino == file->ino)
		unlink(file->path);
	file->path[0] = 0;
}
