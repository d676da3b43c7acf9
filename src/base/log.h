/*
 * The one sink for messages, and the only global state of the program. Lines
 * have the form that users of Xray know:
 *
 *   2006/01/02 15:04:05.000000 [Warning] [flow id] area: message
 *
 * A line is formatted on the stack and written with one write(2), so threads
 * do not mix. Nothing here allocates. Secrets are never passed to it.
 */
#ifndef GARENNE_BASE_LOG_H
#define GARENNE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_NONE = 0,
	LOG_ERROR, /* somebody must act */
	LOG_WARN,  /* somebody should look */
	LOG_INFO,  /* the life of a flow */
	LOG_DEBUG, /* each step */
};

/* How much of an address is hidden: bits kept, 32 and 128 mean everything. */
struct log_mask {
	uint8_t v4_bits, v6_bits;
};

struct log_setup {
	enum log_level level;
	const char *error_path;	 /* NULL: standard output */
	const char *access_path; /* NULL: standard output */
	bool access_off;
	struct log_mask mask;
};

/** Borrows nothing beyond the call. 0, or -ERR_SYS with errno set for a path. */
int log_open(const struct log_setup *setup);
/** Opens the files anew under their names, after a rotation. Keeps the old ones on failure. */
void log_reopen(void);
bool log_on(enum log_level level);
struct log_mask log_mask(void);

/** @flow 0 means "no flow". @area is the name before the colon. */
void log_line(enum log_level level, uint64_t flow, const char *area, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void log_access(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool log_access_on(void);

#define log_err(area, ...) log_line(LOG_ERROR, 0, area, __VA_ARGS__)
#define log_warn(area, ...) log_line(LOG_WARN, 0, area, __VA_ARGS__)
#define log_info(area, ...) log_line(LOG_INFO, 0, area, __VA_ARGS__)
#define log_debug(area, ...) \
	do { \
		if (log_on(LOG_DEBUG)) \
			log_line(LOG_DEBUG, 0, area, __VA_ARGS__); \
	} while (0)

/* A gate for lines that a stranger can provoke: @burst lines, then one each @every_s. */
struct log_rate {
	uint64_t next_ms;
	uint32_t left, muted;
};

/** True when the line may go out; *@muted gets how many were swallowed before it. */
bool log_rate_pass(struct log_rate *r, uint64_t now_ms, uint32_t burst, uint32_t every_s,
		   uint32_t *muted);

#endif
