/*
 * Two steps, as the kernel offers no shorter way without privileges: the table of
 * sockets gives the inode of the one bound to the address, then the descriptors
 * of the processes are searched for it. Of a socket that listens on all addresses
 * only UDP is taken, where one that never connects is usual.
 */
#include "route/procinfo.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum { LINE_FIELDS_MIN = 10, LINE_MAX_ = 512 };

char *procinfo_self(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

/* The kernel prints an address as words of the host's byte order. */
static void hex_addr(char *out, size_t cap, const struct ipport *a, bool mapped)
{
	uint8_t b[16] = {0};
	size_t n = a->ip.family == 4 && !mapped ? 4 : 16;
	int len = 0;

	if (mapped) {
		b[10] = b[11] = 0xff;
		memcpy(b + 12, a->ip.b, 4);
	} else {
		memcpy(b, a->ip.b, n);
	}
	for (size_t i = 0; i < n; i += 4) {
		uint32_t word;

		memcpy(&word, b + i, 4);
		len += snprintf(out + len, cap - (size_t)len, "%08X", word);
	}
	snprintf(out + len, cap - (size_t)len, ":%04X", a->port);
}

/* Field number @k (0 is the first) of a line of blank-separated fields. */
static const char *field(char *line, int k)
{
	char *save = NULL, *f = strtok_r(line, " \n", &save);

	while (f && k-- > 0)
		f = strtok_r(NULL, " \n", &save);
	return f;
}

/* The inode of the socket with local address @want in the table @path, or 0. */
static unsigned long inode_in(const char *path, const char *want)
{
	char line[LINE_MAX_], copy[LINE_MAX_];
	FILE *f = fopen(path, "re");
	unsigned long inode = 0;

	if (!f)
		return 0;
	while (inode == 0 && fgets(line, sizeof(line), f)) {
		const char *local, *text;

		memcpy(copy, line, sizeof(copy));
		local = field(copy, 1);
		if (!local || strcmp(local, want) != 0)
			continue;
		text = field(line, LINE_FIELDS_MIN - 1);
		inode = text ? strtoul(text, NULL, 10) : 0; /* 0: closed, only waiting */
	}
	fclose(f);
	return inode;
}

static unsigned long find_inode(unsigned network, const struct ipport *source)
{
	bool udp = network == CONF_UDP;
	const char *v4 = udp ? "/proc/net/udp" : "/proc/net/tcp";
	const char *v6 = udp ? "/proc/net/udp6" : "/proc/net/tcp6";
	struct ipport any = {.ip.family = source->ip.family, .port = source->port};
	struct ipport any6 = {.ip.family = 6, .port = source->port};
	unsigned long inode;
	char want[48];

	hex_addr(want, sizeof(want), source, false);
	inode = inode_in(source->ip.family == 4 ? v4 : v6, want);
	if (!inode && source->ip.family == 4) { /* a socket for both families */
		hex_addr(want, sizeof(want), source, true);
		inode = inode_in(v6, want);
	}
	if (!inode && udp) {
		hex_addr(want, sizeof(want), &any, false);
		inode = inode_in(source->ip.family == 4 ? v4 : v6, want);
	}
	if (!inode && udp && source->ip.family == 4) {
		hex_addr(want, sizeof(want), &any6, false);
		inode = inode_in(v6, want);
	}
	return inode;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* True when one of the descriptors of @pid is @link. A process we may not look into has none. */
static bool has_socket(const char *pid, const char *link)
{
	char path[64 + NAME_MAX], to[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d)) != NULL) {
		ssize_t n =
			is_number(e->d_name) ? readlinkat(dirfd(d), e->d_name, to, sizeof(to)) : -1;

		found = n > 0 && (size_t)n == strlen(link) && memcmp(to, link, (size_t)n) == 0;
	}
	if (d)
		closedir(d);
	return found;
}

static int describe(struct procinfo *out, const char *pid)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	n = readlink(path, out->path, sizeof(out->path) - 1);
	if (n <= 0)
		return -ERR_SYS;
	out->path[n] = '\0';
	out->process.pid = (int)strtol(pid, NULL, 10);
	out->process.path = out->path;
	return 0;
}

int procinfo_find(struct procinfo *out, unsigned network, const struct ipport *source)
{
	unsigned long inode = source->ip.family ? find_inode(network, source) : 0;
	int err = -ERR_EOF;
	struct dirent *e;
	char link[48];
	DIR *proc;

	if (!inode)
		return -ERR_EOF;
	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	proc = opendir("/proc");
	if (!proc)
		return -ERR_SYS;
	while (err == -ERR_EOF && (e = readdir(proc)) != NULL)
		if (is_number(e->d_name) && has_socket(e->d_name, link))
			err = describe(out, e->d_name);
	closedir(proc);
	return err;
}
