/*
 * Several files as one: which object of which file counts for each section.
 *
 * The first file is the base, every later one is laid over it as Xray does it:
 * a section replaces the whole section of before; an inbound or outbound
 * replaces the one with the same tag; other inbounds are appended; other
 * outbounds go in front as a block, or behind if the file's name contains
 * "tail". What easily surprises is warned about.
 */
#ifndef GARENNE_CONF_MERGE_H
#define GARENNE_CONF_MERGE_H

#include "conf/jnode.h"

enum section {
	SEC_LOG = 0,
	SEC_ROUTING,
	SEC_DNS,
	SEC_POLICY,
	SEC_API,
	SEC_METRICS,
	SEC_STATS,
	SEC_REVERSE,
	SEC_OBSERVATORY,
	SEC_BURST,
	SEC_VERSION,
	SEC_CONTROL,
	SEC_WORKERS,
	SEC_COUNT,
};

/* An element of "inbounds" or "outbounds"; @root and @list make its path. */
struct merged_item {
	struct jnode *list; /* of the file it comes from */
	const cJSON *v;
	int index;
};

struct merged_list {
	struct merged_item *v;
	size_t n;
};

struct merged {
	struct jnode section[SEC_COUNT]; /* v is NULL where no file has it */
	struct merged_list inbounds, outbounds;
};

/**
 * Merges @n documents. Everything in @out lives in the arena of @ld and
 * borrows the documents. Also fills conf.env, which parsers look at. A fault
 * is in the messages of @ld.
 */
void merge_docs(struct load *ld, const struct json_doc *docs, size_t n, struct merged *out);
/** Its key in a file. */
const char *merge_section_name(enum section s);
/** The node of an item, valid while @m and its documents are. */
struct jnode merged_node(const struct merged_item *m);

#endif
