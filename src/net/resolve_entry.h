/*
 * The inside of the resolver, shared by its two halves and nobody else:
 * resolve.c keeps the table and serves requests, resolve_ask.c gets an entry
 * its answer.
 */
#ifndef GARENNE_NET_RESOLVE_ENTRY_H
#define GARENNE_NET_RESOLVE_ENTRY_H

#include <sys/types.h>
#include <time.h>

#include "base/list.h"
#include "net/dns_channel.h"
#include "net/dns_server.h"
#include "net/resolve.h"

enum {
	RESOLVE_BUCKETS = 1024,
	RESOLVE_WORDS_MAX = ADDR_NAME_MAX + 64,
	RESOLVE_POLL_MS = 1000, /* how old our knowledge of resolv.conf may be */
};

/* Families of a question. */
enum { RESOLVE_V4 = 1, RESOLVE_V6 = 2 };

enum resolve_source {
	SOURCE_SYSTEM = 0,
	SOURCE_DNS,
};

enum resolve_state {
	ENTRY_NEW = 0,
	ENTRY_ASKING, /* c-ares has a pointer to it */
	ENTRY_KNOWN,  /* until @until; expired ones are asked again in place */
	ENTRY_NEXT,   /* one server could not tell: the deferred call asks the next */
	ENTRY_AGAIN,  /* its channel went away under it: the deferred call begins anew */
};

/* One of several servers that are asked at the same time. */
struct resolve_race {
	struct dns_question question;
	struct resolve_entry *e;
	uint32_t round; /* of the entry, when it was asked */
	uint8_t server;
};

enum { RESOLVE_BY_NOBODY = UINT8_MAX };

struct resolve_entry {
	struct resolver *r;
	struct resolve_entry *chain; /* in the bucket */
	uint32_t hash;
	struct list lru;
	struct list ready; /* on resolver.ready while those who wait must be told */
	struct list waiting;
	struct dns_question question;
	enum resolve_state state;
	uint8_t source, families;
	uint8_t order[RESOLVE_SERVERS_MAX], order_n, at; /* servers to ask, and which is asked */
	uint8_t by;	      /* the server that answered, or RESOLVE_BY_NOBODY */
	enum dns_status last; /* words of the server that was asked last */
	struct resolve_race *races; /* NULL: nothing was asked of several */
	unsigned racing;	    /* of those, under way */
	uint32_t round;		    /* counts what was asked */
	bool stale; /* what is known is over, but given away while it is asked anew */
	uint64_t over; /* ms: when it was over; 0: it never counts again */
	char *alias;					 /* asked instead of the name */
	uint64_t until;					 /* ms */
	enum dns_status status;
	unsigned n;
	struct ip *ip;
	char name[];
};

/* What resolv.conf was when we read it. */
struct resolve_mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct resolver {
	struct loop *loop;
	struct resolve_setup setup;
	const struct conf_dns *dns; /* NULL: the system stands in */
	size_t servers_n;
	struct dns_channel *system;
	struct dns_server *server[RESOLVE_SERVERS_MAX]; /* NULL: the system, or not to be asked */
	struct resolve_entry *bucket[RESOLVE_BUCKETS];
	uint32_t seed;
	struct list lru; /* longest unused first */
	struct list ready;
	struct list refused; /* requests that got no entry */
	struct defer tell;
	struct timer poll;
	struct resolve_mark mark;
	uint64_t looked; /* ms, at resolv.conf */
	unsigned entries, flight;
	char words[RESOLVE_WORDS_MAX]; /* of resolve_known's last answer */
	bool closing;
};

/** Opens the channels. 0, or -ERR_SYS. */
int resolve_ask_open(struct resolver *r);
/** Closes them; entries under way are only taken out of flight. */
void resolve_ask_close(struct resolver *r);
/** Begins to find the answer of @e; ends, at once or later, with @e on the ready list. */
void resolve_ask(struct resolve_entry *e);
/** May the answer of @e, which is over, still be given away (serveStale)? */
bool resolve_may_be_stale(const struct resolve_entry *e);
/** Goes on with an entry in state NEXT. */
void resolve_ask_next(struct resolve_entry *e);
/** For the entry's question. */
void resolve_on_answer(struct dns_question *q, const struct dns_answer *answer);
/** Refreshes the resolver if resolv.conf has changed; looks at most once in RESOLVE_POLL_MS. */
void resolve_look(struct resolver *r);
/** Asks for the deferred call that tells those who wait for @e. */
void resolve_tell_later(struct resolve_entry *e);

#endif
