/*
 * Typed reading of the JSON tree.
 *
 * A node is a value together with the way to it, so every getter can say by
 * itself where it was, what it found and what it had expected. Getters never
 * stop the load: on a fault they add an error and return the default, so that
 * one run reports all faults of a file.
 *
 * null counts as absent everywhere, as in Xray. Keys are compared without
 * regard to case; of duplicates the last one counts.
 *
 * Nodes live on the stack of the function that walks; a node must not outlive
 * the one it was taken from.
 */
#ifndef GARENNE_CONF_JNODE_H
#define GARENNE_CONF_JNODE_H

#include "conf/arena.h"
#include "conf/conf.h"
#include "conf/json.h"

/* What all parsers of one load share. */
struct load {
	struct conf *conf;
	struct conf_arena *arena;
	struct conf_msgs *msgs;
	bool strict; /* files of ours alone: an unknown key or one that is given twice is an error */
};

struct jnode {
	struct load *ld;
	const struct json_doc *doc;
	const cJSON *v; /* NULL: absent */
	const struct jnode *up;
	const char *key; /* as in the file, or as looked for */
	int index;	 /* >= 0: the element of a list */
};

/* ---- messages ---- */

enum { PATH_MAX_TEXT = 256, FOUND_MAX = 64 };

/** "inbounds[0].settings" into @out; returns @out. */
char *jnode_path(const struct jnode *n, char *out, size_t cap);
struct conf_at jnode_at(const struct jnode *n);
/** An error or a warning at this node; an absent one speaks from its parent's line. */
void jnode_error(const struct jnode *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void jnode_warn(const struct jnode *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** What is there, for "found ...": texts in quotes and cut to @cap. Returns @out. */
char *jnode_found(const struct jnode *n, char *out, size_t cap);

/* ---- structure ---- */

enum key_kind {
	KEY_KNOWN = 0,
	KEY_QUIET,     /* accepted by Xray without effect: so by us, silently */
	KEY_NO_EFFECT, /* warning with the reason */
	KEY_REFUSED,   /* error with the reason; empty or false values are let through */
};

struct key {
	const char *name; /* NULL ends a table */
	enum key_kind kind;
	const char *why;
};

#define KNOWN(name)                                                                                \
	{                                                                                          \
		name, KEY_KNOWN, NULL                                                              \
	}
#define QUIET(name)                                                                                \
	{                                                                                          \
		name, KEY_QUIET, NULL                                                              \
	}
#define KEYS_END                                                                                   \
	{                                                                                          \
		NULL, KEY_KNOWN, NULL                                                              \
	}

/**
 * True when @n is an object; then its keys have been compared with the table:
 * unknown and duplicate ones are warned about, known ones that are not
 * implemented dealt with as the table says. Absent gives false silently,
 * another type an error.
 */
bool jnode_object(const struct jnode *n, const struct key *keys);
/** The same for an object whose keys are data; equal keys are warned about. */
bool jnode_map(const struct jnode *n);
/** The member @key; false when absent (then @out can still be used for messages). */
bool jnode_get(const struct jnode *obj, const char *key, struct jnode *out);
/** The first of two spellings that is there; warns when both are. */
bool jnode_get2(const struct jnode *obj, const char *winner, const char *loser, struct jnode *out);
/** The first element or member in @out, or false. Any other type than list and object: false. */
bool jnode_first(const struct jnode *list, struct jnode *out);
bool jnode_next(struct jnode *it);
/** Number of elements; an absent node has none, another type than a list is an error. */
size_t jnode_count(const struct jnode *list);
/** Number of members of an object, as jnode_each sees them; anything else has none. */
size_t jnode_members(const struct jnode *map);

#define jnode_each(it, list)                                                                       \
	for (bool more_##it = jnode_first(list, &(it)); more_##it; more_##it = jnode_next(&(it)))

/* ---- scalar members of an object ---- */

/** Text or @def. */
const char *jnode_str(const struct jnode *obj, const char *key, const char *def);
/** The same for the value itself. */
const char *jnode_text(const struct jnode *n, const char *def);
/** Text or ""; what is there never gets into a message. */
const char *jnode_secret(const struct jnode *obj, const char *key);
bool jnode_bool(const struct jnode *obj, const char *key, bool def);
/** A whole number in @lo..@hi or @def. */
int64_t jnode_int(const struct jnode *obj, const char *key, int64_t lo, int64_t hi, int64_t def);
int64_t jnode_integer(const struct jnode *n, int64_t lo, int64_t hi, int64_t def);
double jnode_double(const struct jnode *obj, const char *key, double lo, double hi, double def);

struct word {
	const char *name; /* NULL ends a table */
	int value;
};

/** Value of @text in the table (any case), or -1. */
int word_find(const struct word *words, const char *text);
/** "a, b, c" into @out; returns @out. */
char *word_list(const struct word *words, char *out, size_t cap);
/** A word of the table (any case) or @def; the error names all words. */
int jnode_word(const struct jnode *obj, const char *key, const struct word *words, int def);

/** Nearest name to @text in the table, or NULL when none is near. */
const char *word_nearest(const char *text, const char *const *names, size_t n);

#endif
