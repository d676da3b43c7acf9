#include "app/ask.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/cli.h"
#include "base/rundir.h"
#include "net/sock_unix.h"

enum { PATH_TEXT = 160, WAIT_S = 35, ANSWER_MAX = 256 << 20, CHUNK = 64 << 10 };

struct sockets {
	char path[ASK_MAX][PATH_TEXT];
	size_t n;
};

/* Those of @folder, and of its folders: systemd gives each unit one of its own. */
static void find(struct sockets *s, const char *folder, bool deeper)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && s->n < ASK_MAX && (e = readdir(d)) != NULL) {
		char path[PATH_TEXT];
		size_t n = strlen(e->d_name);
		int len = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);

		if (e->d_name[0] == '.' || len < 0 || (size_t)len >= sizeof(path))
			continue;
		if (n > 5 && strcmp(e->d_name + n - 5, ".sock") == 0)
			memcpy(s->path[s->n++], path, sizeof(path));
		else if (deeper && e->d_type == DT_DIR)
			find(s, path, false);
	}
	if (d)
		closedir(d);
}

static int dial(const char *path)
{
	struct timeval wait = {.tv_sec = WAIT_S};
	struct sock_unix u;
	int fd, e;

	if (sock_unix_parse(&u, path) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&u.sa, u.len) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static bool send_line(int fd, const cJSON *request)
{
	char *text = cJSON_PrintUnformatted(request);
	size_t n = text ? strlen(text) : 0;
	bool ok = false;

	if (text) {
		text[n] = '\n'; /* in place of the NUL: a line */
		ok = send(fd, text, n + 1, MSG_NOSIGNAL) == (ssize_t)(n + 1);
	}
	free(text);
	return ok;
}

static char *read_all(int fd, size_t *len)
{
	size_t cap = CHUNK, n = 0;
	char *buf = malloc(cap);
	ssize_t got = 0;

	while (buf && (got = recv(fd, buf + n, cap - n, 0)) > 0) {
		n += (size_t)got;
		if (n == cap) {
			char *grown = cap < ANSWER_MAX ? realloc(buf, cap * 2) : NULL;

			if (!grown)
				break;
			buf = grown;
			cap *= 2;
		}
	}
	*len = n;
	return buf;
}

static cJSON *ask_one(const char *path, const cJSON *request)
{
	int fd = dial(path);
	cJSON *answer = NULL;
	char *text = NULL;
	size_t n = 0;

	if (fd == -1)
		return NULL;
	if (send_line(fd, request))
		text = read_all(fd, &n);
	close(fd);
	if (text)
		answer = cJSON_ParseWithLength(text, n);
	free(text);
	errno = answer ? 0 : EPROTO;
	return answer;
}

static int add(const struct command *c, struct ask_answers *out, cJSON *answer)
{
	const char *fault = ask_text(answer, "fault");

	if (*fault) {
		fprintf(stderr, "garenne %s: %s\n", c->name, fault);
		cJSON_Delete(answer);
		return EXIT_FAILED;
	}
	out->v[out->n++] = answer;
	return EXIT_OK;
}

static int ask_all(const struct command *c, const cJSON *request, struct ask_answers *out)
{
	struct sockets s = {.n = 0};
	char folder[PATH_TEXT];
	int code = EXIT_OK;

	if (rundir(folder, sizeof(folder)))
		find(&s, folder, true);
	for (size_t i = 0; i < s.n; i++) {
		cJSON *answer = ask_one(s.path[i], request);

		/* Left by one that was killed: nobody answers, nothing is wrong. */
		if (answer && add(c, out, answer) != EXIT_OK)
			code = EXIT_FAILED;
	}
	if (out->n == 0 && code == EXIT_OK) {
		fprintf(stderr, "garenne %s: no running program of this user was found; --socket "
				"names one, and root sees those of the system\n", c->name);
		code = EXIT_FAILED;
	}
	return out->n ? EXIT_OK : code;
}

int ask(const struct command *c, const char *socket, const cJSON *request,
	struct ask_answers *out)
{
	cJSON *answer;

	out->n = 0;
	if (!socket)
		return ask_all(c, request, out);
	answer = ask_one(socket, request);
	if (answer)
		return add(c, out, answer);
	fprintf(stderr, "garenne %s: %s: %s\n", c->name, socket, strerror(errno));
	return EXIT_FAILED;
}

void ask_free(struct ask_answers *a)
{
	while (a->n)
		cJSON_Delete(a->v[--a->n]);
}

const char *ask_text(const cJSON *o, const char *key)
{
	const char *t = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	return t ? t : "";
}

double ask_number(const cJSON *o, const char *key)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

bool ask_flag(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

char *ask_span(double ms, char *out, size_t cap)
{
	unsigned long long s = (unsigned long long)(ms / 1000), m = s / 60, h = m / 60, d = h / 24;

	if (ms < 1000)
		snprintf(out, cap, "%.0f ms", ms);
	else if (s < 60)
		snprintf(out, cap, "%llu s", s);
	else if (m < 60)
		snprintf(out, cap, "%llu min", m);
	else if (h < 24)
		snprintf(out, cap, "%llu h %llu min", h, m % 60);
	else
		snprintf(out, cap, "%llu d %llu h", d, h % 24);
	return out;
}

char *ask_bytes(double n, char *out, size_t cap)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t i = 0;

	while (n >= 1024 && i + 1 < sizeof(unit) / sizeof(unit[0])) {
		n /= 1024;
		i++;
	}
	snprintf(out, cap, i ? "%.1f %s" : "%.0f %s", n, unit[i]);
	return out;
}
