/*
 * The configuration: files in Xray's JSON in, one validated tree of plain
 * structs out.
 *
 * conf_load reads and merges the files, parses every section and then checks
 * the whole for contradictions. It opens no socket, starts nothing and looks at
 * certificate files only to see that they can be read. All faults are collected
 * (up to CONF_ERRORS_MAX errors) so that a user mends a file in one round;
 * printing them is the caller's.
 *
 * The result never changes; any thread may read it. Everything in it, strings
 * included, lives in one arena that conf_free wipes.
 */
#ifndef GARENNE_CONF_CONF_H
#define GARENNE_CONF_CONF_H

#include "base/log.h"
#include "conf/dns.h"
#include "conf/inbound.h"
#include "conf/outbound.h"
#include "conf/reverse.h"
#include "conf/routing.h"
#include "conf/value.h"

struct conf_log {
	struct log_setup setup;
	bool dns_log;
};

/* Limits of one user level; times in seconds. */
struct conf_policy {
	uint32_t level;
	uint32_t handshake_s;
	uint32_t conn_idle_s;
	uint32_t uplink_only_s;	  /* after the downlink ended */
	uint32_t downlink_only_s; /* after the uplink ended */
	int32_t buffer_kib;	  /* per flow; negative: unlimited */
	bool stats_uplink, stats_downlink, stats_online;
};

struct conf_policies {
	struct conf_policy other; /* every level that is not listed */
	const struct conf_policy *levels;
	size_t n_levels;
	bool stats_in_up, stats_in_down, stats_out_up, stats_out_down;
};

struct conf_env {
	const char *name, *value;
};

/* The control interface as old files describe it; we serve our own socket instead. */
struct conf_api {
	const char *tag, *listen; /* "" when absent */
};

/* Our own: the socket that answers "garenne status" and its like. */
struct conf_control {
	bool off;
	const char *socket; /* "": one by the process' number in the usual folder */
	const char *name;   /* of this node, for people; "": the host's */
	bool remote_trace;  /* users of our inbounds may trace through us */
};

struct conf_arena;
struct conf_shape;

struct conf {
	struct conf_log log;
	struct conf_policies policy;
	struct conf_routing routing;
	struct conf_observatory observatory;
	struct conf_dns dns;
	struct conf_reverse reverse;
	const struct conf_inbound *inbounds;
	size_t n_inbounds;
	const struct conf_outbound *outbounds; /* the first is the default */
	size_t n_outbounds;
	bool stats;
	struct conf_api api, metrics;
	const struct conf_env *env; /* to be set before geo files are searched */
	size_t n_env;
	struct conf_control control;
	unsigned workers;	  /* ours: event loops; 0: one per core */
	struct conf_sockopt own;  /* for sockets that belong to no inbound or outbound */
	const struct conf_shape *shape; /* shape.h */
	struct conf_arena *arena; /* private to this folder */
};

enum { CONF_ERRORS_MAX = 20 };

enum conf_msg_level {
	CONF_MSG_ERROR = 0,
	CONF_MSG_WARNING,
};

struct conf_msg {
	enum conf_msg_level level;
	const char *file; /* "" when it belongs to no file */
	int line;	  /* 0 when unknown */
	int column;	  /* 0 but for errors of syntax */
	const char *path; /* "inbounds[0].port", or "" */
	const char *text;
};

/* Zero-initialise; filled by conf_load, in the order of discovery. */
struct conf_msgs {
	struct conf_msg *v;
	size_t n, cap;
	size_t errors, warnings;
};

void conf_msgs_free(struct conf_msgs *m);
/** "error: portal.json:14: inbounds[0].port: found ..." into @out, cut to @cap; returns @out. */
char *conf_msg_text(const struct conf_msg *m, char *out, size_t cap);

/**
 * Loads @n files in order ("-" and "stdin:" are standard input), then all
 * *.json and *.jsonc of @confdir (may be NULL) in the order of their names, and
 * merges them as Xray does. @msgs gets errors and warnings, also on success.
 * Gives the result, or NULL if there was an error.
 */
struct conf *conf_load(const char *const *files, size_t n, const char *confdir,
		       struct conf_msgs *msgs);
/** Does this name mean standard input? */
bool conf_is_stdin(const char *file);
/** The same from memory; @name stands for the file in messages. Borrows @text. */
struct conf *conf_load_text(const char *name, struct span text, struct conf_msgs *msgs);
/** Takes NULL too. Wipes what it frees. */
void conf_free(struct conf *c);

/** The limits of a user level; never NULL, borrowed from @c. */
const struct conf_policy *conf_policy(const struct conf *c, uint32_t level);
/** By tag, or NULL; "" finds nothing. */
const struct conf_inbound *conf_inbound_find(const struct conf *c, const char *tag);
const struct conf_outbound *conf_outbound_find(const struct conf *c, const char *tag);
/** The tun inbound, of which there is at most one; NULL when there is none. */
const struct conf_inbound *conf_tun_find(const struct conf *c);

#endif
