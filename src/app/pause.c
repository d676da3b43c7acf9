#include "app/pause.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"

struct pause {
	pthread_barrier_t here, on; /* all have come; all go on */
	atomic_uint left;	    /* threads that still look at this */
	struct halt {
		struct post post;
		struct pause *of;
	} halts[];
};

static void leave(struct pause *p)
{
	pthread_barrier_wait(&p->on);
	if (atomic_fetch_sub(&p->left, 1) != 1)
		return;
	pthread_barrier_destroy(&p->on);
	pthread_barrier_destroy(&p->here);
	free(p);
}

static void on_halt(struct loop *l, struct post *post)
{
	struct pause *p = container_of(post, struct halt, post)->of;

	(void)l;
	pthread_barrier_wait(&p->here);
	leave(p);
}

int pause_all(struct core *c, void (*job)(void *ctx), void *ctx)
{
	struct pause *p = calloc(1, sizeof(*p) + c->n_workers * sizeof(p->halts[0]));

	if (!p)
		return -ERR_NOMEM;
	pthread_barrier_init(&p->here, NULL, c->n_workers);
	pthread_barrier_init(&p->on, NULL, c->n_workers);
	atomic_init(&p->left, c->n_workers);
	for (unsigned i = 1; i < c->n_workers; i++) {
		p->halts[i] = (struct halt){.post = {.run = on_halt}, .of = p};
		loop_post(c->workers[i].loop, &p->halts[i].post);
	}
	pthread_barrier_wait(&p->here);
	job(ctx);
	leave(p);
	return 0;
}
