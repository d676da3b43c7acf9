/* What the files of plan share. */
#ifndef GARENNE_VPN_PLAN_INT_H
#define GARENNE_VPN_PLAN_INT_H

#include "vpn/plan.h"

enum { PREFIX_TEXT = 64 };

void plan_say(struct plan *p, enum plan_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** "10.0.0.0/8" into @out; returns @out. */
char *plan_prefix_text(const struct prefix *p, char out[PREFIX_TEXT]);
/** Adds a route unless there is one to this destination. */
void plan_add_route(struct plan *p, const struct prefix *dst, enum plan_route_kind kind,
		    const char *why);
/** True for a destination that a route of the plan leads into the TUN, by the longest match. */
bool plan_takes(const struct plan *p, const struct ip *ip);
static inline struct prefix plan_host(const struct ip *ip)
{
	return (struct prefix){*ip, ip->family == 4 ? 32 : 128};
}
static inline bool plan_family(const struct plan *p, uint8_t family)
{
	return family == 4 ? p->with4 : p->with6;
}

/** Which outbounds bring flows where. */
void plan_add_deliveries(struct plan *p, const struct conf *c);
/** The way there, by the state as it will be, and what is missing for answers to come back. */
void plan_judge_deliveries(struct plan *p, const struct kstate *k);
/** Adds what is wrong with the finished lists: loops first. */
void plan_judge(struct plan *p, const struct conf *c, const struct kstate *k);

#endif
