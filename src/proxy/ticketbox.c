#include "proxy/ticketbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "crypto/sha.h"

enum { NAME_MAX_TEXT = JOINTICKET_ID_TEXT + 24 };

static const char ticket_end[] = ".ticket", mark_end[] = ".used";

struct box {
	int dir;
	char ticket[NAME_MAX_TEXT], mark[NAME_MAX_TEXT];
	uint8_t claim[JOINTICKET_CLAIM]; /* hashed */
	uint64_t now_s;
	struct ip from;
};

/* ---- files ---- */

/* A whole file of at most @max bytes; gives, or NULL with errno, EFBIG for a longer one. */
static uint8_t *slurp(int dir, const char *name, size_t max, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), e;
	uint8_t *b = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd == -1)
		return NULL;
	errno = EFBIG;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= max)
		b = malloc((size_t)st.st_size + 1);
	while (b && (got = read(fd, b + n, (size_t)st.st_size - n)) != 0) {
		if (got > 0) {
			n += (size_t)got;
		} else if (errno != EINTR) {
			free(b);
			b = NULL;
		}
	}
	e = errno;
	close(fd);
	errno = e;
	*len = n;
	return b;
}

/* 1: there is a mark, 0: none, -1: one that cannot be read; errno says why, or is 0. */
static int mark_read(const struct box *b, const char *name, struct joinmark *out)
{
	size_t n;
	uint8_t *file = slurp(b->dir, name, JOINMARK_MAX, &n);
	ssize_t used;

	if (!file)
		return errno == ENOENT ? 0 : -1;
	used = joinmark_decode(out, span_of(file, n));
	free(file);
	errno = 0;
	return used > 0 ? 1 : -1;
}

static int write_synced(int dir, const char *name, struct span bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), e;
	bool ok;

	if (fd == -1)
		return -1;
	ok = write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0;
	e = errno;
	close(fd);
	errno = e;
	return ok ? 0 : -1;
}

/* Whole or not at all, and once. 0, or -1 and errno: EEXIST when somebody was faster. */
static int mark_write(const struct box *b, const struct joinmark *m)
{
	uint8_t room[JOINMARK_MAX];
	struct wr w = wr_of(room, sizeof(room));
	char temp[NAME_MAX_TEXT];
	uint64_t lot;
	int err, e;

	if (joinmark_encode(&w, m) != 0 || rand_bytes(&lot, sizeof(lot)) != 0) {
		errno = EIO;
		return -1;
	}
	snprintf(temp, sizeof(temp), ".%016llx.new", (unsigned long long)lot);
	err = write_synced(b->dir, temp, span_of(room, w.n));
	if (!err)
		err = linkat(b->dir, temp, b->dir, b->mark, 0);
	e = errno;
	unlinkat(b->dir, temp, 0);
	if (!err)
		fsync(b->dir); /* best effort: some file systems cannot */
	errno = e;
	return err;
}

/* ---- sweeping ---- */

static bool has_end(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n == JOINTICKET_ID_TEXT - 1 + e && strcmp(name + n - e, end) == 0 &&
	       strspn(name, "0123456789abcdef") == n - e;
}

static bool is_over(const struct box *b, const char *name)
{
	struct joinmark m;
	struct jointicket t;
	uint64_t end = UINT64_MAX;
	uint8_t *file;
	size_t n;

	if (has_end(name, mark_end)) {
		if (mark_read(b, name, &m) == 1)
			end = m.expires_s;
	} else if (has_end(name, ticket_end)) {
		file = slurp(b->dir, name, JOINTICKET_MAX, &n);
		if (file && jointicket_decode(&t, span_of(file, n)) > 0)
			end = t.expires_s;
		free(file);
	}
	return end < b->now_s && b->now_s - end > TICKETBOX_KEPT_S;
}

static void sweep(const struct box *b)
{
	int fd = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd != -1)
		close(fd);
	for (int i = 0; d && i < TICKETBOX_SWEEP_MAX && (e = readdir(d)) != NULL; i++)
		if (is_over(b, e->d_name))
			unlinkat(b->dir, e->d_name, 0);
	if (d)
		closedir(d);
}

/* ---- answers ---- */

static void trouble(struct ticketbox_reply *r, const char *what, int error)
{
	r->answer = (struct joinmsg_answer){.status = JOINMSG_TROUBLE};
	r->trouble = what;
	r->error = error;
}

static void say_used(struct ticketbox_reply *r, const struct joinmark *m)
{
	r->answer = (struct joinmsg_answer){
		.status = JOINMSG_USED, .when_s = m->when_s, .from = m->from};
}

static void say_expired(struct ticketbox_reply *r, uint64_t when_s)
{
	r->answer = (struct joinmsg_answer){.status = JOINMSG_EXPIRED, .when_s = when_s};
}

/* Reads the ticket into @r; false when that was the answer. */
static bool ticket_read(const struct box *b, struct ticketbox_reply *r, struct jointicket *t)
{
	size_t n;

	r->file = slurp(b->dir, b->ticket, JOINTICKET_MAX, &n);
	if (!r->file && errno == ENOENT)
		r->answer.status = JOINMSG_UNKNOWN;
	else if (!r->file)
		trouble(r, "the ticket cannot be read", errno);
	else if (jointicket_decode(t, span_of(r->file, n)) != (ssize_t)n || n == 0)
		trouble(r, "the ticket is cut off or damaged", 0);
	else
		return true;
	return false;
}

static void spend(const struct box *b, struct ticketbox_reply *r)
{
	r->answer = (struct joinmsg_answer){.status = JOINMSG_SPENT};
	if (unlinkat(b->dir, b->ticket, 0) != 0 && errno != ENOENT)
		trouble(r, "the ticket cannot be removed", errno);
}

static void serve(const struct box *b, const struct joinmsg_request *q, struct ticketbox_reply *r,
		  const struct jointicket *t)
{
	if (q->verb == JOINMSG_SPEND)
		spend(b, r);
	else
		r->answer = (struct joinmsg_answer){.status = JOINMSG_SERVED, .sealed = t->sealed};
}

/* Somebody was here before. */
static void second(const struct box *b, const struct joinmsg_request *q, struct ticketbox_reply *r,
		   const struct joinmark *m)
{
	struct jointicket t;

	memcpy(r->node, m->node, sizeof(r->node));
	if (!secret_eq(m->claim, b->claim, sizeof(b->claim))) {
		say_used(r, m);
		return;
	}
	r->again = true;
	if (q->verb == JOINMSG_SPEND)
		spend(b, r);
	else if (b->now_s >= m->expires_s)
		say_expired(r, m->expires_s);
	else if (ticket_read(b, r, &t))
		serve(b, q, r, &t);
	else if (r->answer.status == JOINMSG_UNKNOWN)
		say_used(r, m); /* its own use, which is over */
}

static void first(const struct box *b, const struct joinmsg_request *q, struct ticketbox_reply *r)
{
	struct joinmark m = {.when_s = b->now_s, .from = b->from};
	struct jointicket t;

	if (!ticket_read(b, r, &t))
		return;
	memcpy(r->node, t.node, sizeof(r->node));
	if (b->now_s >= t.expires_s) {
		say_expired(r, t.expires_s);
		return;
	}
	m.expires_s = t.expires_s;
	memcpy(m.node, t.node, sizeof(m.node));
	memcpy(m.claim, b->claim, sizeof(m.claim));
	if (mark_write(b, &m) == 0) {
		serve(b, q, r, &t);
		sweep(b);
	} else if (errno == EEXIST && mark_read(b, b->mark, &m) == 1) {
		ticketbox_reply_fini(r);
		second(b, q, r, &m);
	} else {
		trouble(r, "its use cannot be noted, so it is not served", errno);
	}
}

void ticketbox_ask(const char *folder, const struct joinmsg_request *q, uint64_t now_s,
		   const struct ip *from, struct ticketbox_reply *out)
{
	struct box b = {.now_s = now_s, .from = *from};
	char id[JOINTICKET_ID_TEXT];
	struct joinmark m;

	*out = (struct ticketbox_reply){.trouble = NULL};
	jointicket_id_text(q->id, id);
	snprintf(b.ticket, sizeof(b.ticket), "%s%s", id, ticket_end);
	snprintf(b.mark, sizeof(b.mark), "%s%s", id, mark_end);
	if (sha256(b.claim, span_of(q->claim, sizeof(q->claim))) != 0) {
		trouble(out, "out of memory", 0);
		return;
	}
	b.dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b.dir == -1 && errno == ENOENT) {
		out->answer.status = JOINMSG_UNKNOWN;
		return;
	}
	if (b.dir == -1) {
		trouble(out, "the folder cannot be opened", errno);
		return;
	}
	switch (mark_read(&b, b.mark, &m)) {
	case 0:
		first(&b, q, out);
		break;
	case 1:
		second(&b, q, out, &m);
		break;
	default:
		trouble(out, "the note of its use cannot be read", errno);
		break;
	}
	close(b.dir);
}

void ticketbox_reply_fini(struct ticketbox_reply *r)
{
	free(r->file);
	*r = (struct ticketbox_reply){.trouble = NULL};
}
