#include "flow/farhook.h"

#include <stdlib.h>
#include <string.h>

struct farhook {
	struct flow_hook far;	/* called on the flow's loop */
	struct flow_hook *near; /* called on @home */
	struct loop *home;
	struct farhook_user *user;
	struct post verdict, ended; /* here, so that these cannot be lost for want of memory */
	int err;
};

struct line {
	struct post post;
	struct farhook *h;
	char text[];
};

static void on_line(struct loop *l, struct post *p)
{
	struct line *w = container_of(p, struct line, post);
	struct farhook *h = w->h;

	(void)l;
	h->near->line(h->near, *h->user->stream(h->user), w->text);
	free(w);
}

static void on_verdict(struct loop *l, struct post *p)
{
	struct farhook *h = container_of(p, struct farhook, verdict);

	(void)l;
	if (h->near->verdict)
		h->near->verdict(h->near, h->user->stream(h->user), h->err);
	h->user->told(h->user, h->err);
}

static void on_ended(struct loop *l, struct post *p)
{
	struct farhook *h = container_of(p, struct farhook, ended);

	h->user->over(h->user);
	if (h->near->ended)
		h->near->ended(h->near, l);
	free(h);
}

static void far_line(struct flow_hook *f, struct stream *in, const char *text)
{
	struct farhook *h = container_of(f, struct farhook, far);
	size_t n = strlen(text) + 1;
	struct line *w = calloc(1, sizeof(*w) + n);

	(void)in;
	if (!w)
		return;
	w->h = h;
	memcpy(w->text, text, n);
	w->post.run = on_line;
	loop_post(h->home, &w->post);
}

static void far_verdict(struct flow_hook *f, struct stream **in, int err)
{
	struct farhook *h = container_of(f, struct farhook, far);

	(void)in;
	h->err = err;
	h->verdict.run = on_verdict;
	loop_post(h->home, &h->verdict);
}

static void far_ended(struct flow_hook *f, struct loop *l)
{
	struct farhook *h = container_of(f, struct farhook, far);

	(void)l;
	h->ended.run = on_ended;
	loop_post(h->home, &h->ended);
}

struct farhook *farhook_new(struct flow_hook *near, struct loop *home, struct farhook_user *user)
{
	struct farhook *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->far = (struct flow_hook){far_verdict, far_ended, near->line ? far_line : NULL};
	h->near = near;
	h->home = home;
	h->user = user;
	return h;
}

struct flow_hook *farhook_hook(struct farhook *h)
{
	return &h->far;
}

void farhook_free(struct farhook *h)
{
	free(h);
}
