/*
 * Files of named lists (geoip.dat, geosite.dat and others of their format): where
 * they are, and one list out of them.
 *
 * A file is looked for in the folders of GARENNE_ASSETS and XRAY_LOCATION_ASSET
 * (in its absence the folder of the executable), then in share/garenne,
 * share/xray and share/v2ray of /usr/local and /usr, then /opt/share/xray. A name
 * may have folders in front and is relative to these; an absolute one is itself.
 *
 * Such files have up to 20 MB, of which a configuration uses little, and routers
 * have little memory. So only the heads of the lists are read when a file is
 * opened, and then the lists that are asked for. Lives while rules are compiled.
 */
#ifndef GARENNE_ROUTE_GEOFILE_H
#define GARENNE_ROUTE_GEOFILE_H

#include "base/span.h"
#include "route/report.h"

struct geofiles;

/** NULL without memory. */
struct geofiles *geofiles_new(void);
/** Closes the files; lists got from them are gone. */
void geofiles_free(struct geofiles *g);

/**
 * The list @code (any case) of @file: a file of its own that has this one entry,
 * borrowed until the next call. 0, or with the reason in @why: -ERR_SYS when the
 * file cannot be opened or read, -ERR_EOF when there is no such list in it,
 * -ERR_MALFORMED when it is no such file, -ERR_LIMIT, -ERR_NOMEM.
 */
int geofiles_list(struct geofiles *g, struct span file, struct span code, struct span *list,
		  char why[ROUTE_WHY_MAX]);

#endif
