#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/sock_unix.h"

enum {
	BATCH = 32,	    /* connections accepted in one turn */
	TURNED_AWAY = 64,   /* connections refused in one turn without descriptors */
	REST_MS = 100,	    /* pause after descriptors ran out */
	WARN_EVERY_S = 30,  /* one line about it in this time */
	NAME_MAX_LEN = 120, /* a unix path or an address */
};

struct listener {
	struct loop *loop;
	struct listener_user *user;
	struct watch watch;
	struct timer rest;
	struct garbage garbage;
	struct ipport at;
	struct sock_unix_file file;
	struct log_rate warned;
	int spare;   /* kept open, to be given up when no other descriptor is left */
	bool exact;  /* bound to one address: every connection's local end is @at */
	bool closed; /* by the user, from inside on_accept */
	char name[NAME_MAX_LEN];
};

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The spare descriptor lets us take the newcomers and hang up, which is better than silence. */
static void turn_away(struct listener *l, int sys)
{
	char words[80];
	uint32_t muted;
	int n = 0;

	if (l->spare != -1) {
		close(l->spare);
		for (; n < TURNED_AWAY; n++) {
			int fd = accept4(l->watch.io.fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd == -1)
				break;
			close(fd);
		}
		l->spare = open_spare();
	}
	if (log_rate_pass(&l->warned, loop_now(l->loop), 1, WARN_EVERY_S, &muted))
		log_warn("net", "listener %s: accept: %s; %d connections turned away", l->name,
			 sock_errno_text(sys, words, sizeof(words)), n);
	watch_set(&l->watch, 0);
	timer_start(&l->rest, REST_MS);
}

static void hand_over(struct listener *l, int fd, const struct sockaddr_storage *sa)
{
	struct accepted a = {.fd = fd};

	if (sa->ss_family != AF_UNIX) {
		ipport_from_sockaddr(&a.peer, (const struct sockaddr *)sa);
		if (l->exact)
			a.local = l->at;
		else
			sock_local(fd, &a.local);
	}
	l->user->on_accept(l->user, l, &a);
}

static bool accept_one(struct listener *l)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	int fd;

	if (l->user->may_accept && !l->user->may_accept(l->user, l)) {
		watch_set(&l->watch, 0);
		return false;
	}
	fd = accept4(l->watch.io.fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		if (len < sizeof(sa.ss_family)) /* an unnamed unix peer */
			sa.ss_family = AF_UNIX;
		hand_over(l, fd, &sa);
		return !l->closed;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		turn_away(l, errno);
		return false;
	default:
		return true; /* that connection died in the queue: accept(2), "Error handling" */
	}
}

static void on_ready(struct watch *w, unsigned events)
{
	struct listener *l = container_of(w, struct listener, watch);

	(void)events;
	for (int i = 0; i < BATCH; i++)
		if (!accept_one(l))
			return;
}

static void on_rested(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, rest);

	if (l->spare == -1)
		l->spare = open_spare();
	watch_set(&l->watch, WATCH_READ);
}

static void set_name(struct listener *l, const struct listen_spec *spec)
{
	if (spec->path)
		snprintf(l->name, sizeof(l->name), "%s", spec->path);
	else if (spec->at.ip.family)
		ipport_text(&spec->at, l->name, sizeof(l->name));
	else
		snprintf(l->name, sizeof(l->name), ":%u", spec->at.port);
}

struct listener *listener_new(struct loop *loop, const struct listen_spec *spec,
			      struct listener_user *user, char why[NET_WHY_MAX])
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd;

	if (!l) {
		snprintf(why, NET_WHY_MAX, "%s", err_name(ERR_NOMEM));
		return NULL;
	}
	if (spec->path)
		fd = sock_unix_listen(spec->path, &l->file, why);
	else
		fd = sock_listen(SOCK_NET_TCP, &spec->at, spec->opts, why);
	if (fd < 0) {
		free(l);
		return NULL;
	}
	l->loop = loop;
	l->user = user;
	l->spare = open_spare();
	l->at = spec->at;
	if (!spec->path)
		sock_local(fd, &l->at);
	/* A transparent listener accepts connections to any address. */
	l->exact = !spec->path && !ip_is_any(&l->at.ip) &&
		   !(spec->opts && spec->opts->tproxy != CONF_TPROXY_OFF);
	set_name(l, spec);
	timer_init(&l->rest, loop, on_rested);
	watch_init(&l->watch, loop, fd, on_ready);
	watch_set(&l->watch, WATCH_READ);
	return l;
}

void listener_wake(struct listener *l)
{
	if (!timer_on(&l->rest))
		watch_set(&l->watch, WATCH_READ);
}

struct ipport listener_at(const struct listener *l)
{
	return l->at;
}

const char *listener_name(const struct listener *l)
{
	return l->name;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct listener, garbage));
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	l->closed = true;
	timer_stop(&l->rest);
	watch_set(&l->watch, 0);
	close(l->watch.io.fd);
	if (l->spare != -1)
		close(l->spare);
	sock_unix_remove(&l->file);
	l->garbage.destroy = destroy;
	loop_free_later(l->loop, &l->garbage);
}
