#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { PATH_CAP = 512, LINE_CAP = 2048 };

static struct {
	enum log_level level;
	bool access_off;
	struct log_mask mask;
	atomic_int error_fd, access_fd;
	char error_path[PATH_CAP], access_path[PATH_CAP];
} sink = {.level = LOG_WARN, .access_off = true, .mask = {32, 128}, .error_fd = 1, .access_fd = 1};

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

static int set_target(atomic_int *fd, char *keep, const char *path)
{
	if (!path || !*path)
		return 0;
	if (strlen(path) >= PATH_CAP) {
		errno = ENAMETOOLONG;
		return -ERR_SYS;
	}
	int got = open_log(path);

	if (got == -1)
		return -ERR_SYS;
	memcpy(keep, path, strlen(path) + 1);
	atomic_store(fd, got);
	return 0;
}

int log_open(const struct log_setup *s)
{
	sink.level = s->level;
	sink.access_off = s->access_off;
	sink.mask = s->mask;
	if (set_target(&sink.error_fd, sink.error_path, s->error_path) != 0)
		return -ERR_SYS;
	if (s->access_off)
		return 0;
	return set_target(&sink.access_fd, sink.access_path, s->access_path);
}

/* dup3 swaps the file under the descriptor number, so a writer never sees a closed one. */
static void reopen_one(int fd, const char *path)
{
	int fresh;

	if (!*path)
		return;
	fresh = open_log(path);
	if (fresh == -1)
		return;
	dup3(fresh, fd, O_CLOEXEC);
	close(fresh);
}

void log_reopen(void)
{
	reopen_one(atomic_load(&sink.error_fd), sink.error_path);
	reopen_one(atomic_load(&sink.access_fd), sink.access_path);
}

bool log_on(enum log_level level)
{
	return level <= sink.level;
}

struct log_mask log_mask(void)
{
	return sink.mask;
}

bool log_access_on(void)
{
	return !sink.access_off;
}

static size_t stamp(char *out, size_t cap)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(out, cap, "%Y/%m/%d %H:%M:%S", &tm);
	return n + (size_t)snprintf(out + n, cap - n, ".%06ld ", ts.tv_nsec / 1000);
}

static void put(int fd, char *line, size_t n)
{
	if (n >= LINE_CAP)
		n = LINE_CAP - 1;
	line[n++] = '\n';
	/* A full disk or a closed pipe must not stop traffic: the line is lost. */
	ssize_t ignored = write(fd, line, n);

	(void)ignored;
}

void log_line(enum log_level level, uint64_t flow, const char *area, const char *fmt, ...)
{
	static const char *const names[] = {"", "Error", "Warning", "Info", "Debug"};
	char line[LINE_CAP + 1];
	va_list ap;
	size_t n;

	if (level > sink.level)
		return;
	n = stamp(line, sizeof(line));
	n += (size_t)snprintf(line + n, sizeof(line) - n, "[%s] ", names[level]);
	if (flow)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "[%llu] ",
				      (unsigned long long)flow);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s: ", area);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	put(atomic_load(&sink.error_fd), line, n);
}

void log_access(const char *fmt, ...)
{
	char line[LINE_CAP + 1];
	va_list ap;
	size_t n;

	if (sink.access_off)
		return;
	n = stamp(line, sizeof(line));
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	put(atomic_load(&sink.access_fd), line, n);
}

bool log_rate_pass(struct log_rate *r, uint64_t now_ms, uint32_t burst, uint32_t every_s,
		   uint32_t *muted)
{
	if (now_ms >= r->next_ms) {
		r->left = burst;
		r->next_ms = now_ms + (uint64_t)every_s * 1000;
	}
	if (r->left == 0) {
		r->muted++;
		return false;
	}
	r->left--;
	*muted = r->muted;
	r->muted = 0;
	return true;
}
