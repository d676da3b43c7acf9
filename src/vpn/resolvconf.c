#include "vpn/resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { PATH_LEN = 300, FILE_MAX = 16384 };

#define FIRST_LINE "# garenne's for the TUN "

struct paths {
	char now[PATH_LEN], old[PATH_LEN], next[PATH_LEN];
};

struct file {
	char text[FILE_MAX + 1];
	size_t n;
};

static void set_paths(struct paths *p, const char *dir)
{
	snprintf(p->now, PATH_LEN, "%.200s/resolv.conf", dir);
	snprintf(p->old, PATH_LEN, "%.200s/resolv.conf.garenne", dir);
	snprintf(p->next, PATH_LEN, "%.200s/resolv.conf.garenne-new", dir);
}

/* A file that is not there is empty. */
static bool read_file(const char *path, struct file *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? (errno == ENOENT ? 0 : -1) : read(fd, out->text, FILE_MAX);

	if (fd != -1)
		close(fd);
	if (n < 0 || n == FILE_MAX)
		return false;
	out->n = (size_t)n;
	out->text[n] = 0;
	return true;
}

static bool write_file(const char *path, int flags, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
	bool ok = fd != -1 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;

	if (fd != -1)
		ok &= close(fd) == 0;
	return ok;
}

/* ---- whose it is ---- */

/* Written for @name, or for a device that is gone. */
static bool is_ours(const struct file *f, const char *name)
{
	char whose[IF_NAMESIZE] = "";
	size_t n;

	if (strncmp(f->text, FIRST_LINE, sizeof(FIRST_LINE) - 1) != 0)
		return false;
	n = strcspn(f->text + sizeof(FIRST_LINE) - 1, ";\n");
	if (n < sizeof(whose))
		memcpy(whose, f->text + sizeof(FIRST_LINE) - 1, n);
	return strcmp(whose, name) == 0 || if_nametoindex(whose) == 0;
}

/* ---- putting back ---- */

/* A file that something is mounted on, as in containers, can only be filled. */
static bool fill(const struct paths *p)
{
	struct file f;

	return read_file(p->old, &f) && write_file(p->now, O_TRUNC, f.text, f.n) &&
	       unlink(p->old) == 0;
}

void resolvconf_restore(const char *dir, const char *name)
{
	struct paths p;
	struct file f;

	set_paths(&p, dir);
	unlink(p.next);
	if (!read_file(p.now, &f))
		return;
	if (!is_ours(&f, name)) {
		if (strncmp(f.text, FIRST_LINE, sizeof(FIRST_LINE) - 1) != 0)
			unlink(p.old); /* somebody else's, newer than what we had kept */
		return;
	}
	if (access(p.old, F_OK) == -1 && errno == ENOENT && readlink(p.old, f.text, 1) == -1)
		unlink(p.now);
	else if (rename(p.old, p.now) == -1 && !fill(&p))
		log_warn("tun", "%s cannot be put back from %s: %s", p.now, p.old, strerror(errno));
}

/* ---- setting ---- */

static bool compose(const struct conf_in_tun *t, const struct file *old, struct file *out)
{
	size_t n = (size_t)snprintf(out->text, FILE_MAX, FIRST_LINE "%s; what it was is in "
							"resolv.conf.garenne\n", t->name);
	char ip[64];

	for (size_t i = 0; i < t->n_dns && n < FILE_MAX; i++)
		n += (size_t)snprintf(out->text + n, FILE_MAX - n, "nameserver %s\n",
				      ip_text(&t->dns[i], ip, sizeof(ip)));
	if (n + old->n >= FILE_MAX)
		return false;
	memcpy(out->text + n, old->text, old->n + 1);
	out->n = n + old->n;
	return true;
}

/* The same file under a second name; a copy where the first is a mount. */
static bool keep(const struct paths *p, const struct file *old)
{
	unlink(p->old);
	return link(p->now, p->old) == 0 || errno == ENOENT ||
	       write_file(p->old, O_CREAT | O_EXCL, old->text, old->n);
}

static bool replace(const struct paths *p, const struct file *f)
{
	if (!write_file(p->next, O_CREAT | O_EXCL, f->text, f->n))
		return false;
	if (rename(p->next, p->now) == 0)
		return true;
	unlink(p->next);
	return write_file(p->now, O_TRUNC, f->text, f->n);
}

void resolvconf_set(const char *dir, const struct conf_in_tun *t)
{
	struct file old, fresh;
	struct paths p;

	set_paths(&p, dir);
	if (!read_file(p.now, &old) || !compose(t, &old, &fresh)) {
		log_warn("tun", "\"resolvConf\": %s cannot be read, or is too long", p.now);
		return;
	}
	if (!keep(&p, &old) || !replace(&p, &fresh)) {
		log_warn("tun", "\"resolvConf\": %s cannot be written: %s", p.now, strerror(errno));
		unlink(p.old);
		return;
	}
	log_info("tun", "%s asks the TUN's name servers first; what it was is in %s", p.now, p.old);
}
