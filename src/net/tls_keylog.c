#include "net/tls_keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "net/tls_cert.h"

enum { LINE_MAX_LEN = 512 };

int tls_keylog_open(int *fd, const char *path, char *why)
{
	*fd = -1;
	if (!path || !*path || strcmp(path, "none") == 0)
		return 0;
	*fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (*fd == -1) {
		snprintf(why, TLS_WHY_MAX, "masterKeyLog: %s: %s", path, strerror(errno));
		return -ERR_SYS;
	}
	log_warn("tls", "masterKeyLog is set: whoever reads %s can decrypt the traffic", path);
	return 0;
}

void tls_keylog_line(int fd, const char *line)
{
	char text[LINE_MAX_LEN];
	ssize_t put = 0;
	int n;

	if (fd == -1)
		return;
	n = snprintf(text, sizeof(text), "%s\n", line);
	if (n > 0 && (size_t)n < sizeof(text))
		put = write(fd, text, (size_t)n);
	if (put == -1)
		log_debug("tls", "masterKeyLog: %s", strerror(errno));
	secret_wipe(text, sizeof(text));
}

static char *put_hex(char *at, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*at++ = digits[p[i] >> 4];
		*at++ = digits[p[i] & 15];
	}
	return at;
}

void tls_keylog_put(int fd, const char *label, const uint8_t random[32],
		    const struct tls_secret *secret)
{
	char line[LINE_MAX_LEN], *at = line;

	if (fd == -1)
		return;
	at += snprintf(line, 64, "%s ", label);
	at = put_hex(at, random, 32);
	*at++ = ' ';
	at = put_hex(at, secret->b, secret->n);
	*at = 0;
	tls_keylog_line(fd, line);
	secret_wipe(line, sizeof(line));
}
