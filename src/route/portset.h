/* A compiled list of ports: disjoint ranges in order. */
#ifndef GARENNE_ROUTE_PORTSET_H
#define GARENNE_ROUTE_PORTSET_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/value.h"

/* Zero-initialise. Members are private. */
struct portset {
	struct conf_port_range *v;
	size_t n;
};

/** A range whose bounds are the wrong way round holds nothing. 0 or -ERR_NOMEM. */
int portset_init(struct portset *s, const struct conf_ports *ports);
void portset_fini(struct portset *s);
bool portset_has(const struct portset *s, uint16_t port);

#endif
