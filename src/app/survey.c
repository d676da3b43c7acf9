#include "app/survey.h"

static void on_hop(struct loop *l, struct post *p)
{
	struct survey *s = container_of(p, struct survey, post);

	(void)l;
	/* Loops that are being freed take no more messages. */
	if (atomic_load(s->stopping)) {
		s->destroy(s);
		return;
	}
	if (s->at == s->core->n_workers) {
		s->done(s);
		s->destroy(s);
		return;
	}
	s->visit(s, &s->core->workers[s->at++]);
	loop_post(s->core->workers[s->at % s->core->n_workers].loop, &s->post);
}

void survey_start(struct survey *s)
{
	s->at = 0;
	s->post.run = on_hop;
	loop_post(s->core->workers[0].loop, &s->post);
}
