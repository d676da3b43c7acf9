/*
 * Prefixes that stand for others of the same length, host bits kept. Ours: freedom
 * and tun dial one in another, and a node says under which its users are known.
 */
#ifndef GARENNE_CONF_MAP_H
#define GARENNE_CONF_MAP_H

#include "conf/value.h"

struct jnode;

struct conf_map {
	struct conf_at at;
	struct prefix from, to;
};

/** The list of { "from", "to" } under @key of @obj; memory of the arena. */
void conf_parse_maps(const struct jnode *obj, const char *key, const struct conf_map **out,
		     size_t *out_n);
/** Puts @ip in place by the first map that has it under "from"; false: none has, it is as it was. */
bool conf_map_forth(const struct conf_map *v, size_t n, struct ip *ip);
/** The same from "to" to "from". */
bool conf_map_back(const struct conf_map *v, size_t n, struct ip *ip);

#endif
