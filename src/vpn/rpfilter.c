#include "vpn/rpfilter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rundir.h"

enum { TEXT = 160, FOLDER = 100, ALL = 2048 };

static bool read_text(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd == -1 ? -1 : read(fd, out, cap - 1);

	if (fd != -1)
		close(fd);
	if (n <= 0)
		return false;
	out[n] = 0;
	return true;
}

static bool write_text(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	bool ok = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		ok &= close(fd) == 0;
	return ok;
}

/* Network namespaces may share /run. */
static void state_path(const char *name, char out[TEXT])
{
	struct stat st = {0};
	char folder[FOLDER];

	stat("/proc/self/ns/net", &st);
	snprintf(out, TEXT, "%s/%.15s.%llu.rp_filter",
		 rundir(folder, sizeof(folder)) ? folder : "/nowhere", name,
		 (unsigned long long)st.st_ino);
}

static void sysctl_path(const char *dev, char out[TEXT])
{
	snprintf(out, TEXT, "/proc/sys/net/ipv4/conf/%.15s/rp_filter", dev);
}

void rpfilter_loosen(const char *name, const char *dev)
{
	char state[TEXT], sysctl[TEXT], folder[FOLDER] = "", old[16], line[TEXT];

	state_path(name, state);
	sysctl_path(dev, sysctl);
	if (!read_text(sysctl, old, sizeof(old)))
		return;
	old[strcspn(old, "\n")] = 0;
	snprintf(line, sizeof(line), "%s %s\n", old, dev);
	rundir(folder, sizeof(folder));
	if ((mkdir(folder, 0755) == -1 && errno != EEXIST) ||
	    !write_text(state, O_CREAT | O_APPEND, line)) {
		log_warn("tun", "rp_filter of %s stays strict, for its old value cannot be kept in "
				"%s: %s. Answers to our own connections may be dropped", dev, state,
			 strerror(errno));
		return;
	}
	if (write_text(sysctl, 0, "2\n"))
		log_info("tun", "rp_filter of %s: %s, now loose", dev, old);
	else
		log_warn("tun", "rp_filter of %s stays strict: %s. Answers to our own connections "
				"may be dropped", dev, strerror(errno));
}

/* "0 eth0". */
static void restore_one(char *line)
{
	char sysctl[TEXT], now[16], *dev = strchr(line, ' ');

	if (!dev || strchr(dev, '/'))
		return;
	*dev++ = 0;
	sysctl_path(dev, sysctl);
	/* Somebody else may have changed it since. */
	if (read_text(sysctl, now, sizeof(now)) && now[0] == '2')
		write_text(sysctl, 0, line);
}

void rpfilter_restore(const char *name)
{
	char state[TEXT], all[ALL], *rest = all, *line;

	state_path(name, state);
	if (!read_text(state, all, sizeof(all)))
		return;
	unlink(state);
	while ((line = strsep(&rest, "\n")) != NULL)
		restore_one(line);
}
