#include "proto/joinmsg.h"

#include <string.h>

#include "base/err.h"
#include "proto/joinwire.h"

static const char request_head[] = "GJR", answer_head[] = "GJA";

ssize_t joinmsg_request_decode(struct joinmsg_request *out, struct span in)
{
	struct rd r = rd_of(in);
	int head = joinwire_head_read(&r, request_head);
	unsigned verb = rd_u8(&r);
	struct joinmsg_request q;

	if (head <= 0)
		return head;
	if (r.bad)
		return 0;
	if (verb != JOINMSG_FETCH && verb != JOINMSG_SPEND)
		return -ERR_UNSUPPORTED;
	q.verb = (enum joinmsg_verb)verb;
	rd_copy(&r, q.id, sizeof(q.id));
	rd_copy(&r, q.claim, sizeof(q.claim));
	if (r.bad)
		return 0;
	*out = q;
	return (ssize_t)(in.n - r.n);
}

int joinmsg_request_encode(struct wr *out, const struct joinmsg_request *in)
{
	joinwire_head_write(out, request_head);
	wr_u8(out, in->verb);
	wr_bytes(out, in->id, sizeof(in->id));
	wr_bytes(out, in->claim, sizeof(in->claim));
	return out->bad ? -ERR_LIMIT : 0;
}

/* Do the parts of an answer belong together? */
static bool sound(const struct joinmsg_answer *a)
{
	bool timed = a->status == JOINMSG_USED || a->status == JOINMSG_EXPIRED;

	return (timed || a->when_s == 0) && (a->status == JOINMSG_USED || a->from.family == 0) &&
	       (a->status == JOINMSG_SERVED ?
			a->sealed.n >= JOINTICKET_TAG && a->sealed.n <= JOINTICKET_SEALED_MAX :
			a->sealed.n == 0);
}

ssize_t joinmsg_answer_decode(struct joinmsg_answer *out, struct span in)
{
	struct rd r = rd_of(in);
	int head = joinwire_head_read(&r, answer_head);
	unsigned status = rd_u8(&r);
	struct joinmsg_answer a = {.when_s = rd_u64(&r)};

	if (head <= 0)
		return head;
	if (!joinwire_ip_read(&r, &a.from))
		return r.bad ? 0 : -ERR_MALFORMED;
	a.sealed.n = rd_u32(&r);
	if (r.bad)
		return 0;
	if (status < JOINMSG_SERVED || status > JOINMSG_TROUBLE)
		return -ERR_UNSUPPORTED;
	a.status = (enum joinmsg_status)status;
	if (!sound(&a))
		return -ERR_MALFORMED;
	a.sealed = rd_take(&r, a.sealed.n);
	if (r.bad)
		return 0;
	*out = a;
	return (ssize_t)(in.n - r.n);
}

int joinmsg_answer_encode(struct wr *out, const struct joinmsg_answer *in)
{
	if (!sound(in))
		return -ERR_MALFORMED;
	joinwire_head_write(out, answer_head);
	wr_u8(out, in->status);
	wr_u64(out, in->when_s);
	joinwire_ip_write(out, &in->from);
	wr_u32(out, (uint32_t)in->sealed.n);
	return out->bad ? -ERR_LIMIT : 0;
}
