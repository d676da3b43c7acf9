/*
 * realitySettings. The object describes a server exactly when it has "target" (or
 * its old name "dest").
 */
#ifndef GARENNE_CONF_REALITY_H
#define GARENNE_CONF_REALITY_H

#include "conf/value.h"

enum {
	CONF_REALITY_KEY_LEN = 32,
	CONF_REALITY_SHORT_ID_LEN = 8,
	/* x << 16 | y << 8 | z; servers with no minClientVer of their own want 26.3.27 at least */
	CONF_REALITY_CLIENT_VERSION = 26 << 16 | 7 << 8 | 28,
	CONF_REALITY_MLDSA_LEN = 1952, /* an ML-DSA-65 public key */
	CONF_SPIDER_WORKERS_MAX = 8,
};

/* A bucket of tokens for one direction of a forwarded stranger. */
struct conf_fallback_rate {
	uint64_t after_bytes; /* so many pass freely first */
	uint64_t bytes_per_s; /* 0: no limit at all */
	uint64_t burst_bytes; /* never below bytes_per_s */
};

struct conf_sockopt;

struct conf_reality_server {
	struct conf_at at;
	struct addr target;			     /* kind ADDR_NONE: target_unix */
	const char *target_unix;		     /* "/path", "@name", "@@name", or "" */
	uint8_t xver;				     /* PROXY header for the target: 0 none, 1, 2 */
	struct conf_strs names;			     /* "" allows hellos without a name */
	const uint8_t (*keys)[CONF_REALITY_KEY_LEN]; /* private X25519 keys; secret */
	size_t n_keys;
	const uint8_t (*short_ids)[CONF_REALITY_SHORT_ID_LEN];
	size_t n_short_ids;
	uint32_t min_version, max_version;  /* x << 16 | y << 8 | z; 0: no limit */
	uint64_t max_diff_ms;		    /* 0: the client's clock is not looked at */
	const uint8_t *mldsa_seed;	    /* 32 bytes, secret; NULL: no ML-DSA-65 */
	struct conf_fallback_rate up, down; /* to the target, to the stranger */
	const char *master_key_log;	    /* path or "" */
	const struct conf_sockopt *own;	    /* for connections to the target; NULL: the defaults */
};

/* What a client does with a server that shows a real certificate: it behaves like a browser. */
struct conf_spider {
	const char *path;	       /* begins with "/" */
	struct conf_range padding;     /* bytes of a cookie */
	struct conf_range concurrency; /* how many crawl on after the first page */
	struct conf_range times;       /* pages that each of them gets */
	struct conf_range interval;    /* ms between these */
	struct conf_range delay;       /* ms until the user hears of it */
};

struct conf_reality_client {
	struct conf_at at;
	const char *server_name;	   /* "": the dialled address */
	const char *fingerprint;	   /* lower case, never "" */
	uint8_t key[CONF_REALITY_KEY_LEN]; /* the server's public X25519 key */
	uint8_t short_id[CONF_REALITY_SHORT_ID_LEN];
	uint8_t version[3];	  /* of Xray that we claim to be */
	const uint8_t *mldsa_key; /* CONF_REALITY_MLDSA_LEN bytes; NULL: not asked for */
	struct conf_spider spider;
	const char *master_key_log; /* path or "" */
};

#endif
