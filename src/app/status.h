/*
 * What the control socket tells, as JSON.
 *
 *   status  {node, version, pid, up_ms, workers [{flows}], inbounds, outbounds, bridges}
 *   flows   {live [...], ended [...]}
 *   why     {live | ended: the flow with that id}
 */
#ifndef GARENNE_APP_STATUS_H
#define GARENNE_APP_STATUS_H

#include "app/survey.h"
#include "flow/inbound.h"
#include "proxy/bridge.h"

/* What there is to tell of; borrowed from the app. */
struct status_view {
	struct core *core;
	struct inbound *const *inbounds;
	size_t n_inbounds;
	struct bridge *const *bridges;
	size_t n_bridges;
	uint64_t started_ms;
};

/** The part that needs no visit: names, versions, inbounds, rows for the rest. */
void status_begin(const struct status_view *v, cJSON *out);
/** What lives on worker @w. */
void status_visit(const struct status_view *v, const struct worker *w, cJSON *out);
/** All flows of @w, live and ended; with @id only that one (0: all). */
void status_flows(const struct worker *w, uint64_t id, cJSON *out);

#endif
